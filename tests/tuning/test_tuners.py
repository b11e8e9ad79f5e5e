"""Searches in one process, with a model that takes no time to train."""

import gc
import json

import keras
import keras_tuner
import numpy as np
import pytest

from glomo_keras import tuning

pytestmark = [
    # KerasTuner 1.4.8: `threading.currentThread().getName()`.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    # Its Gaussian process, on the few trials there are here.
    pytest.mark.filterwarnings("ignore:The optimal value found for dimension"),
]


@pytest.fixture(scope="module", autouse=True)
def little_to_collect():
    """KerasTuner collects garbage before each model: not that of all tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def make_model(values, rate=0.0):
    """A model of one weight whose loss tells the values apart."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    model.set_weights([np.full((1, 1), values["graph_units"] / 16)])
    return model


class Trainer:
    """`train` of the hypermodel; fails, or dies, at some of its calls."""

    def __init__(self, fail=(), die=()):
        self.calls = 0
        self.fail, self.die = fail, die

    def __call__(self, values, model, **kwargs):
        self.calls += 1
        if self.calls in self.die:
            raise KeyboardInterrupt
        if self.calls in self.fail:
            raise ValueError("no such trial")
        x = np.ones((2, 1))
        return model.fit(
            x, 0 * x, validation_data=(x, 0 * x), epochs=2, **kwargs
        )


def make_tuner(
    folder, kind="random", max_trials=4, max_epochs=3, rate=0.0, **trainer
):
    keras.utils.set_random_seed(0)
    train = Trainer(**trainer)

    def fit(values, model, *, epochs=1, initial_epoch=0, **kwargs):
        return train(values, model, **kwargs)

    hypermodel = tuning.GraphHyperModel(
        lambda values: make_model(values, rate), fit, num_graph_layers=2
    )
    tuner = tuning.make_tuner(
        kind,
        hypermodel,
        objective=("val_loss", "min"),
        max_trials=max_trials,
        max_epochs=max_epochs,
        directory=folder,
        seed=1,
    )
    return tuner, train


def run(folder, **options):
    tuner, train = make_tuner(folder, **options)
    tuner.search(verbose=0)
    return tuning.trial_rows(tuner), train


@pytest.mark.parametrize("kind", ["random", "bayesian", "grid", "hyperband"])
def test_each_kind_runs_its_trials(kind, tmp_path):
    # Hyperband's fourth trial goes on with the best of the first three.
    rows, train = run(tmp_path, kind=kind)
    assert len(rows) == train.calls == 4
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores)
    assert all(row["seconds"] >= 0 for row in rows)


def test_failed_trials_are_counted_with_their_error(tmp_path):
    rows, train = run(tmp_path, max_trials=5, fail=range(1, 5))
    assert train.calls == 5
    assert [row["status"] for row in rows].count("FAILED") == 4
    assert rows[-1]["error"] == "ValueError: no such trial"
    assert rows[0]["error"] is None


def test_a_loss_that_is_not_finite_fails(tmp_path):
    rows, _ = run(tmp_path, max_trials=2, rate=1e30)
    assert [row["status"] for row in rows] == ["FAILED"] * 2
    assert all("not finite" in row["error"] for row in rows)


def test_an_interrupted_search_goes_on_with_its_trials(tmp_path):
    tuner, _ = make_tuner(tmp_path / "killed", die=[3])
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    before = tuning.trial_rows(tuner)
    assert [row["status"] for row in before].count("RUNNING") == 1

    rows, train = run(tmp_path / "killed")
    assert train.calls == 2
    assert {row["status"] for row in rows} == {"COMPLETED"}
    whole, _ = run(tmp_path / "whole")
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in x]
        for x in (rows, whole)
    ]
    assert timeless[0] == timeless[1]


def test_a_search_interrupted_in_its_first_trial_goes_on(tmp_path):
    tuner, _ = make_tuner(tmp_path, die=[1])
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    rows, train = run(tmp_path)
    assert len(rows) == train.calls == 4


def test_a_finished_search_takes_more_trials(tmp_path):
    first, _ = run(tmp_path, max_trials=2)
    rows, train = run(tmp_path, max_trials=3)
    assert train.calls == 1
    assert {row["trial"] for row in first} < {row["trial"] for row in rows}


def test_errors_outlive_the_process_that_met_them(tmp_path):
    run(tmp_path, max_trials=2, fail=[1, 2])
    rows, train = run(tmp_path, max_trials=2)
    assert train.calls == 0
    assert [row["error"] for row in rows] == ["ValueError: no such trial"] * 2


def test_files_are_never_half_written(tmp_path, monkeypatch):
    tuner, _ = make_tuner(tmp_path)
    state = (tmp_path / "trials" / "oracle.json").read_text()

    def broken(value, file, **kwargs):
        file.write('{"half')
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dump", broken)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert (tmp_path / "trials" / "oracle.json").read_text() == state
    assert not list(tmp_path.glob("trials/trial_*/trial.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "best"}, "kind='best'"),
        ({"max_trials": 0}, "max_trials=0"),
        ({"max_epochs": 0}, "max_epochs=0"),
    ],
)
def test_make_tuner_refuses(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make_tuner(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "width"}, "space='width'"),
        ({}, "num_graph_layers=None"),
        ({"space": "context", "learning_rate": 1.0}, "context_lengths"),
        ({"space": "context", "context_lengths": (1,)}, "learning_rate=None"),
    ],
)
def test_hyper_model_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        tuning.GraphHyperModel(make_model, **options)


def test_space_all_has_both():
    hp = keras_tuner.HyperParameters()
    hypermodel = tuning.GraphHyperModel(
        make_model,
        space="all",
        num_graph_layers=2,
        context_lengths=(1, 3),
        learning_rate=0.1,
    )
    values = hypermodel.values(hp)
    assert {"graph", "graph_layers", "context_length", "dropout"} < set(values)
