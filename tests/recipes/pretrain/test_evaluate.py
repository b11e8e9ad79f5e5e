"""The evaluation of a pretraining on held-out text."""

import pathlib

import keras
import numpy as np
import pytest

import glomo_keras as gk
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import text as pretrain_text
from tests.finished_run import make_run
from tests.finished_run import read_json

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def evaluation(run):
    return evaluate_pretrainer.evaluate(
        evaluate_pretrainer.Options(run.out, graph_windows=3, batch_size=4)
    )


def windows_of(run, count=0):
    stream = pretrain_text.load(run).validation
    return evaluate_pretrainer.held_out_windows(stream, run.max_length, count)


def log_probabilities(pretrainer, windows, direction):
    """Of every unit at every position and distance, by numpy: (B, T, D, V)."""
    found = pretrainer.features(windows)
    states = pretrainer.decoders[direction](
        found[f"{direction}_features"][:, -1], found["embeddings"]
    )
    words = pretrainer.graph_predictor.token_embedding.embeddings
    logits = keras.ops.convert_to_numpy(states @ keras.ops.transpose(words))
    logits = logits.astype("float64")
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("direction", "sign"), [("forward", 1), ("backward", -1)]
)
def test_perplexities_are_those_of_the_events_one_by_one(
    run, evaluation, direction, sign
):
    windows = windows_of(run)
    ids, mask = windows["token_ids"], windows["padding_mask"]
    assert not mask.all()
    pretrainer = gk.ContextPretrainer.from_preset(run.out / "pretrainer")
    logs = log_probabilities(pretrainer, windows, direction)
    for distance in (1, 2):
        losses = [
            -logs[window, unit, distance - 1, ids[window, target]]
            for window, length in enumerate(mask.sum(1))
            for unit in range(length)
            for target in [unit + sign * distance]
            if 0 <= target < length
        ]
        assert len(losses) == evaluate_pretrainer.num_events(mask, distance)
        got = evaluation["perplexity_by_distance"][direction][distance - 1]
        assert got == pytest.approx(np.exp(np.mean(losses)), rel=TOLERANCE)


def test_text_that_has_changed_is_refused(run, tmp_path):
    """The same words, as often, in another order."""
    moved = tmp_path / "moved.txt"
    lines = pathlib.Path(run.corpus[0]).read_text("utf-8").splitlines()
    moved.write_text("\n".join(lines[::-1]), encoding="utf-8")
    with pytest.raises(
        ValueError, match="not those of the run.*train.*data.json"
    ):
        evaluate_pretrainer.evaluate(
            evaluate_pretrainer.Options(run.out, corpus=(str(moved),))
        )


def test_file_holds_the_next_word_task_and_the_corpus(run, evaluation):
    found = read_json(run.out / "evaluation.json")
    assert found["next_word_perplexity"] == {
        direction: values[0]
        for direction, values in evaluation["perplexity_by_distance"].items()
    }
    corpus, windows = found["corpus"], found["windows"]
    assert corpus["words"] == corpus["train_words"] + windows["words"]
    assert windows["events"] == windows["words"] - windows["count"]
    assert corpus["sources"] == list(run.corpus)


def test_graphs_are_described_by_layer_and_head(run, evaluation):
    windows = windows_of(run, 3)
    predictor = gk.GraphPredictor.from_preset(run.out / "preset")
    sizes = windows["padding_mask"].sum(1)
    for direction, graphs in predictor.predict_on_batch(windows).items():
        numbers = evaluation["graphs"][direction.removesuffix("_graphs")]
        assert set(numbers) == {
            "density",
            "empty_rows",
            "mean_distance",
            "mean_entropy",
        }
        edges = (graphs > 0).sum((0, 3, 4))  # (L, K)
        np.testing.assert_allclose(
            numbers["density"], edges / (sizes * (sizes - 1) // 2).sum()
        )
        assert 0 < np.max(numbers["empty_rows"]) < 1


def test_windows_are_spread_evenly_and_never_doubled(run):
    every, some = windows_of(run), windows_of(run, 3)
    assert len(every["token_ids"]) == 16
    np.testing.assert_array_equal(
        some["token_ids"], every["token_ids"][[0, 8, 15]]
    )
    more = windows_of(run, 10**6)
    np.testing.assert_array_equal(more["token_ids"], every["token_ids"])


def test_events_need_a_predecessor_in_their_window():
    mask = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], "bool")
    assert evaluate_pretrainer.num_events(mask, 1) == 3
    assert evaluate_pretrainer.num_events(mask, 2) == 1


def test_unfinished_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="metrics.json.*missing. Received"):
        evaluate_pretrainer.evaluate(evaluate_pretrainer.Options(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": -1}, "--windows is at least 0"),
        ({"batch_size": 0}, "--batch-size is at least 1"),
        ({"graph_windows": 0}, "--graph-windows is at least 1"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        evaluate_pretrainer.evaluate(
            evaluate_pretrainer.Options(tmp_path, **changes)
        )
