"""`fit_resumable`, interrupted by an exception in this process."""

import functools
import itertools
import sys

import keras
import numpy as np
import pytest

from glomo_keras.training import ResumeTraining
from glomo_keras.training import RunFolder
from glomo_keras.training import fit_resumable
from glomo_keras.training import read_history
from tests.training import small_run
from tests.training.small_run import AtBatch

# Keras itself, under numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


STEPS = 3
train = functools.partial(small_run.train, steps=STEPS)


class Interrupt(Exception):
    pass


def interrupt():
    raise Interrupt


def train_interrupted(folder, batches, **kwargs):
    """Trains in several goes, interrupted at the given batches."""
    for batch in batches:
        with pytest.raises(Interrupt):
            train(folder, [AtBatch(batch, interrupt)], **kwargs)
    return train(folder, **kwargs)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that ended early, its model and its history."""
    folder = tmp_path_factory.mktemp("stopped")
    return folder, *train(folder, patience=4)


@pytest.mark.slow
def test_early_stopping_and_plateau_decide_the_same(stopped, tmp_path):
    folder, model, history = stopped
    epochs = len(history.epoch)
    assert 6 < epochs < small_run.EPOCHS
    assert len(set(history.history["learning_rate"])) > 1
    # In epochs 2 and 5, and in the last but one.
    cuts = [8, 10, STEPS * (epochs - 5) - 4]
    resumed, resumed_history = train_interrupted(
        tmp_path / "resumed", cuts, patience=4
    )
    small_run.assert_same_weights(resumed, model)
    assert resumed_history.history == history.history
    assert resumed_history.epoch == list(range(epochs))
    small_run.assert_same_csv(tmp_path / "resumed", folder, epochs=epochs)


def test_each_epoch_is_timed_once_however_often_interrupted(tmp_path):
    train_interrupted(tmp_path, [5, 4], epochs=3)
    rows = read_history(tmp_path / "timing.csv")
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert all(0 < row["seconds"] < 60 for row in rows)
    assert all(row["cpu_seconds"] > 0 for row in rows)


def checkpoint_times(folder):
    """When each checkpoint was written; reading changes other times."""
    files = sorted((folder / "checkpoint").iterdir())
    return [(file.name, file.stat().st_mtime_ns) for file in files]


@pytest.mark.slow
def test_stopped_run_does_not_train_on(stopped):
    folder, model, history = stopped
    checkpoints = checkpoint_times(folder)
    again, again_history = train(folder, [AtBatch(1, interrupt)], patience=4)
    small_run.assert_same_weights(again, model)  # the best ones, restored
    assert again_history.history == history.history
    assert checkpoint_times(folder) == checkpoints


def test_complete_run_does_not_train_on(tmp_path):
    model, history = train(tmp_path, epochs=1)
    again, again_history = train(tmp_path, [AtBatch(1, interrupt)], epochs=1)
    small_run.assert_same_weights(again, model)
    assert again_history.history == history.history


@pytest.mark.slow
def test_damaged_checkpoint_goes_back_one_epoch(tmp_path):
    model, _ = train(tmp_path / "whole", epochs=3)
    with pytest.raises(Interrupt):
        train(tmp_path / "cut", [AtBatch(8, interrupt)], epochs=3)
    newest = sorted((tmp_path / "cut" / "checkpoint").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=newest.name):
        resumed, _ = train(tmp_path / "cut", epochs=3)
    small_run.assert_same_weights(resumed, model)
    small_run.assert_same_csv(tmp_path / "cut", tmp_path / "whole", epochs=3)


class Best(keras.callbacks.Callback):
    """A callback of one's own that remembers."""

    resume_attributes = ("seen",)

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(epoch)


def test_own_callback_names_what_it_remembers(tmp_path):
    train(tmp_path, [Best()], epochs=1)
    best = Best()
    train(tmp_path, [best], epochs=2)
    assert best.seen == [0, 1]


def test_model_checkpoint_keeps_its_best(tmp_path):
    file = tmp_path / "best.keras"
    first = keras.callbacks.ModelCheckpoint(
        file, monitor="loss", save_best_only=True
    )
    train(tmp_path, [first], epochs=2)
    again = keras.callbacks.ModelCheckpoint(
        file, monitor="loss", save_best_only=True
    )
    train(tmp_path, [again], epochs=2)
    assert again.best == first.best is not None


class Noisy(keras.Model):
    """A subclassed model that owns a seed generator."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)
        self.dropout = keras.layers.Dropout(0.5, seed=4)
        self.dense = keras.layers.Dense(1)

    def call(self, x, training=None):
        if training:
            x = x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)
        return self.dense(self.dropout(x, training=training))


def noisy_model():
    keras.utils.set_random_seed(1)
    model = Noisy()
    model(np.zeros((1, small_run.WIDTH), "float32"))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def fit_noisy(folder, epochs, **kwargs):
    model = noisy_model()
    with RunFolder(folder).start({}) as run_folder:
        fit_resumable(
            model,
            small_run.batches,
            epochs=epochs,
            run_folder=run_folder,
            **{"steps_per_epoch": 5, "verbose": 0, **kwargs},
        )
    return model


def test_subclassed_model_keeps_its_seed_generators(tmp_path):
    whole = fit_noisy(tmp_path / "whole", 3)
    fit_noisy(tmp_path / "cut", 1)
    resumed = fit_noisy(tmp_path / "cut", 3)
    small_run.assert_same_weights(resumed, whole)


def test_progress_bar_counts_from_the_resumed_epoch(tmp_path, capsys):
    fit_noisy(tmp_path, 1)
    capsys.readouterr()
    fit_noisy(tmp_path, 2, verbose=1)
    text = capsys.readouterr().out
    assert "Epoch 2/2" in text and "5/5" in text


def test_other_steps_per_epoch_are_refused(tmp_path):
    fit_noisy(tmp_path, 2)
    with pytest.raises(ValueError, match="with, 5: .*steps_per_epoch=10"):
        fit_noisy(tmp_path, 4, steps_per_epoch=10)
    assert len(read_history(tmp_path / "history.csv")) == 2


def test_dataset_starts_at_the_step_of_the_first_epoch(tmp_path):
    starts = []

    def make_dataset(first_step):
        starts.append(first_step)
        return small_run.batches(first_step)

    for epochs in (2, 3):
        with RunFolder(tmp_path).start({}) as run_folder:
            fit_resumable(
                noisy_model(),
                make_dataset,
                epochs=epochs,
                steps_per_epoch=5,
                run_folder=run_folder,
                verbose=0,
            )
    assert starts == [0, 10]
    assert [r["epoch"] for r in read_history(tmp_path / "history.csv")] == [
        0,
        1,
        2,
    ]


def test_tensorboard_steps_go_on(tmp_path):
    pytest.importorskip("tensorflow")
    loader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    for epochs in (2, 4):
        board = keras.callbacks.TensorBoard(
            tmp_path / "tensorboard", update_freq=1, write_graph=False
        )
        fit_noisy(tmp_path, epochs, callbacks=[board])
    events = loader.EventAccumulator(str(tmp_path / "tensorboard" / "train"))
    events.Reload()
    steps = {
        tag: [event.step for event in events.Tensors(tag)]
        for tag in ("epoch_loss", "batch_loss")
    }
    assert steps["epoch_loss"] == [0, 1, 2, 3]
    # The accumulator keeps a sample of ten.
    assert steps["batch_loss"] == sorted(set(steps["batch_loss"]))
    assert steps["batch_loss"][-1] == 20


def test_tensorboard_is_skipped_with_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    fit_noisy(tmp_path, 1, verbose=2)
    text = capsys.readouterr().out
    assert "No TensorBoard logs: tensorboard missing" in text
    assert not (tmp_path / "tensorboard").exists()


def test_unbuilt_model_is_refused(tmp_path):
    model = Noisy()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="built=False"):
        ResumeTraining(tmp_path).restore(model)


def test_other_model_is_refused(tmp_path):
    fit_noisy(tmp_path, 1)
    model = small_run.build_model()
    with pytest.raises(ValueError, match="written by another model"):
        ResumeTraining(tmp_path / "checkpoint").restore(model)


def test_learning_rate_and_seed_states_are_restored(tmp_path):
    model = fit_noisy(tmp_path, 2)
    model.optimizer.learning_rate = 0.125
    resume = ResumeTraining(tmp_path / "checkpoint")
    resume.set_model(model)
    resume.on_epoch_end(2)
    fresh = noisy_model()
    assert ResumeTraining(tmp_path / "checkpoint").restore(fresh) == 3
    assert float(fresh.optimizer.learning_rate) == 0.125
    small_run.assert_same_weights(fresh, model)
    states = [
        keras.ops.convert_to_numpy(v.value)
        for v in itertools.chain(noisy_model().variables)
        if "seed" in v.path
    ]
    restored = [
        keras.ops.convert_to_numpy(v.value)
        for v in fresh.variables
        if "seed" in v.path
    ]
    assert len(states) == 2
    for before, after in zip(states, restored, strict=True):
        assert not np.array_equal(before, after)
