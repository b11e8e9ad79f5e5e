"""Searches in one process, with a model that takes no time to train."""

import json
import shutil

import keras
import keras_tuner
import numpy as np
import pandas
import pytest

from glomo_keras import tuning

pytestmark = [
    # KerasTuner 1.4.8: `threading.currentThread().getName()`.
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    # Its Gaussian process, on the few trials there are here.
    pytest.mark.filterwarnings("ignore:The optimal value found for dimension"),
]


def make_model(values, rate=0.0):
    """A model of one weight whose loss tells the values apart."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    model.set_weights([np.full((1, 1), values["units"] / 16)])
    return model


class Trainer:
    """`train` of the hypermodel; fails, or dies, at some of its calls."""

    def __init__(self, fail=(), die=()):
        self.calls = 0
        self.fail, self.die = fail, die

    def __call__(self, values, model, *, epochs=1, initial_epoch=0, **kwargs):
        self.calls += 1
        if self.calls in self.die:
            raise KeyboardInterrupt
        if self.calls in self.fail:
            raise ValueError("no such trial")
        x = np.ones((2, 1))
        return model.fit(
            x, 0 * x, validation_data=(x, 0 * x), epochs=2, **kwargs
        )


def make_tuner(folder, kind="random", train=None, rate=0.0, **options):
    keras.utils.set_random_seed(0)
    hypermodel = tuning.GraphHyperModel(
        lambda values: make_model(values, rate),
        train or Trainer(),
        num_graph_layers=options.pop("num_graph_layers", 2),
    )
    given = {
        "objective": ("val_loss", "min"),
        "max_trials": 4,
        "max_epochs": 3,
        "directory": folder,
        "seed": 1,
    }
    return tuning.make_tuner(kind, hypermodel, **{**given, **options})


def run(folder, **options):
    train = Trainer(options.pop("fail", ()))
    tuner = make_tuner(folder, train=train, **options)
    tuner.search(verbose=0)
    return tuning.trial_table(tuner), train


def interrupt(folder, call):
    """Starts a search that is killed in a trial; returns its table."""
    tuner = make_tuner(folder, train=Trainer(die=[call]), max_trials=2)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    return tuning.trial_table(tuner)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("random", 1),
        ("grid", 2),
        # Its fourth trial goes on with the best of the first three.
        pytest.param("hyperband", 4, marks=pytest.mark.slow),
        pytest.param("bayesian", 4, marks=pytest.mark.slow),
    ],
)
def test_each_kind_runs_its_trials(kind, count, tmp_path):
    table, train = run(tmp_path, kind=kind, max_trials=count)
    assert len(table) == train.calls == count
    assert table["score"].is_monotonic_increasing
    assert set(table["status"]) == {"COMPLETED"}
    assert table["epoch"].min() >= 1
    assert list(table) == [
        *("trial", "status", "score", "epoch"),
        *("placement", "conditioned", "num_mixtures", "units"),
        *("graph_layers", "include_products", "error"),
    ]


def test_failed_trials_are_counted_with_their_error(tmp_path):
    table, train = run(tmp_path, max_trials=3, fail=[1, 2])
    assert train.calls == 3
    assert table["status"].tolist() == ["COMPLETED"] + ["FAILED"] * 2
    assert table["error"].iloc[-1] == "ValueError: no such trial"
    assert pandas.isna(table["error"].iloc[0])
    assert table["score"].isna().tolist() == [False] + [True] * 2


@pytest.mark.parametrize(("given", "count"), [({}, 3), ({"epochs": 2}, 2)])
def test_a_trial_has_max_epochs_unless_the_search_has_others(
    given, count, tmp_path
):
    def train(values, model, *, epochs, **kwargs):
        counts.append(epochs)
        x = np.ones((2, 1))
        return model.fit(x, x, validation_data=(x, x), **kwargs)

    counts = []
    make_tuner(tmp_path, train=train, max_trials=1).search(verbose=0, **given)
    assert counts == [count]


def diverge_after_a_step(values, model, **kwargs):
    """The loss of the only step is that of the weights before it."""
    x = np.array([[0.0], [1.0]])
    return model.fit(x, 0 * x, validation_data=(x, 0 * x), **kwargs)


@pytest.mark.parametrize("train", [Trainer(), diverge_after_a_step])
def test_a_loss_that_is_not_finite_fails(train, tmp_path):
    tuner = make_tuner(tmp_path, train=train, max_trials=1, rate=1e39)
    tuner.search(verbose=0)
    table = tuning.trial_table(tuner)
    assert table["status"].tolist() == ["FAILED"]
    assert all("not finite" in error for error in table["error"])


def test_an_interrupted_search_goes_on_with_its_trials(tmp_path):
    before = interrupt(tmp_path / "killed", call=2)
    assert before["status"].tolist().count("RUNNING") == 1
    table, train = run(tmp_path / "killed", max_trials=2)
    assert train.calls == 1
    assert set(table["status"]) == {"COMPLETED"}
    whole, _ = run(tmp_path / "whole", max_trials=2)
    pandas.testing.assert_frame_equal(table, whole)


def test_a_bayesian_search_goes_on_with_the_same_trials(tmp_path):
    options = {"kind": "bayesian", "max_trials": 6}
    whole, _ = run(tmp_path / "whole", **options)
    tuner = make_tuner(tmp_path / "killed", train=Trainer(die=[5]), **options)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    table, _ = run(tmp_path / "killed", **options)
    pandas.testing.assert_frame_equal(table, whole)


def test_seed_0_is_a_seed(tmp_path):
    tables = [run(tmp_path / name, seed=0)[0] for name in ("one", "two")]
    pandas.testing.assert_frame_equal(*tables)
    other, _ = run(tmp_path / "other", seed=1)
    assert not tables[0].equals(other)
    with pytest.raises(ValueError, match="`seed` is at least 0.*seed=-1"):
        make_tuner(tmp_path / "third", seed=-1)


def test_a_trial_that_is_in_no_list_is_run(tmp_path):
    """KerasTuner writes a trial before the list of trials."""
    whole, _ = run(tmp_path / "whole", max_trials=3)
    run(tmp_path / "killed", max_trials=1)
    trials = tmp_path / "killed" / "trials"
    listed = (trials / "oracle.json").read_text()
    interrupt(tmp_path / "killed", call=1)
    assert len(list(trials.glob("trial_*"))) == 2
    (trials / "oracle.json").write_text(listed)
    table, train = run(tmp_path / "killed", max_trials=3)
    assert train.calls == 2
    pandas.testing.assert_frame_equal(table, whole)


def test_a_worker_leaves_the_trials_of_its_chief(tmp_path, monkeypatch):
    run(tmp_path, max_trials=1)
    new = tmp_path / "trials" / "trial_9"
    new.mkdir()  # not in the list yet
    done = tmp_path / "trials" / "trial_8"
    shutil.copytree(tmp_path / "trials" / "trial_0", done)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")
    make_tuner(tmp_path)
    assert new.exists()
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    make_tuner(tmp_path)
    assert not new.exists() and done.exists()


def test_a_list_of_trials_that_was_cut_off_is_named(tmp_path):
    run(tmp_path, max_trials=1)
    (tmp_path / "trials" / "oracle.json").write_text("")
    with pytest.raises(ValueError, match="oracle.json.* is not JSON"):
        run(tmp_path, max_trials=2)


def test_a_search_interrupted_in_its_first_trial_goes_on(tmp_path):
    interrupt(tmp_path, call=1)
    table, train = run(tmp_path, max_trials=2)
    assert len(table) == train.calls == 2


def test_a_finished_search_takes_more_trials(tmp_path):
    first, _ = run(tmp_path, max_trials=1)
    table, train = run(tmp_path, max_trials=2)
    assert train.calls == 1
    assert set(first["trial"]) < set(table["trial"])


def test_errors_outlive_the_process_that_met_them(tmp_path):
    run(tmp_path, max_trials=1, fail=[1])
    table, train = run(tmp_path, max_trials=1)
    assert train.calls == 0
    assert table["error"].tolist() == ["ValueError: no such trial"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a search of one trial."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder, max_trials=1)
    return folder


@pytest.mark.parametrize(
    ("changed", "differing"),
    [
        ({"num_graph_layers": 3}, "space"),
        ({"objective": ("loss", "min")}, "objective"),
        ({"objective": ("val_loss", "max")}, "objective"),
        ({"kind": "grid"}, "kind"),
        ({"kind": "hyperband"}, "kind"),
        ({"kind": "hyperband", "max_epochs": 5}, "kind, max_epochs"),
        ({"max_epochs": 5}, "max_epochs"),
    ],
)
def test_the_folder_of_another_search_is_refused(
    changed, differing, finished, tmp_path
):
    folder = shutil.copytree(finished, tmp_path / "copy")
    with pytest.raises(ValueError, match=f"another {differing}. Choose"):
        make_tuner(folder, **changed)
    make_tuner(folder, project_name="other", **changed)


def test_the_same_space_in_context_lengths_is_another_search(tmp_path):
    def tuner(*lengths):
        hypermodel = tuning.GraphHyperModel(
            lambda values: None,
            space="context",
            context_lengths=lengths,
            learning_rate=0.1,
        )
        return tuning.make_tuner(
            "random",
            hypermodel,
            objective=("val_loss", "min"),
            max_trials=1,
            max_epochs=1,
            directory=tmp_path,
        )

    tuner(1, 3)
    tuner(1, 3)
    with pytest.raises(ValueError, match="another space"):
        tuner(1, 5)


def test_a_folder_of_keras_tuner_without_our_record_is_refused(
    finished, tmp_path
):
    folder = shutil.copytree(finished, tmp_path / "copy")
    (folder / "trials" / "search.json").unlink()
    with pytest.raises(ValueError, match="another kind, objective"):
        make_tuner(folder)


def test_a_search_whose_record_lacks_its_epochs_goes_on(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    path = folder / "trials" / "search.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"max_epochs": None}))
    make_tuner(folder)
    assert json.loads(path.read_text()) == record


def test_the_record_of_a_search_can_be_read(tmp_path):
    make_tuner(tmp_path)
    record = json.loads((tmp_path / "trials" / "search.json").read_text())
    assert record["kind"] == "random"
    assert record["objective"] == ["val_loss", "min"]
    names = [entry["config"]["name"] for entry in record["space"]]
    assert "graph_layers" in names


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
    assert {"placement", "graph_layers", "context_length", "dropout"} < set(
        values
    )
