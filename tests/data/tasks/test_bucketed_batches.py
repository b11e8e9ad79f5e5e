"""Examples and their batches."""

import collections

import numpy as np
import pytest

from glomo_keras.data import BucketedBatches
from glomo_keras.data import EvaluationBatches
from glomo_keras.data import Examples
from glomo_keras.data import PyBatches
from glomo_keras.data import as_dataset

LENGTHS = np.random.default_rng(0).integers(0, 90, 203)


def make_examples(**options):
    """Word i of every text of example n is number n + 1."""
    rows = [np.full(n, i + 1, "int32") for i, n in enumerate(LENGTHS)]
    tables = {
        "word_ids": np.arange(len(rows) + 1, dtype="int32"),
        "char_ids": np.arange(3 * len(rows) + 3, dtype="int16").reshape(-1, 3),
    }
    texts = {"premise": rows, "hypothesis": rows[::-1]}
    return Examples(texts, tables, np.arange(len(rows)), **options)


def test_taken_examples_are_padded_tables():
    inputs, targets = make_examples().take([3, 200])
    assert set(inputs) == {
        f"{prefix}_{name}"
        for prefix in ("premise", "hypothesis")
        for name in ("padding_mask", "word_ids", "char_ids")
    }
    np.testing.assert_array_equal(targets, [3, 200])
    mask = inputs["premise_padding_mask"]
    np.testing.assert_array_equal(mask.sum(1), LENGTHS[[3, 200]])
    assert mask.shape[1] == LENGTHS[[3, 200]].max()
    words = np.array([[4], [201]])
    np.testing.assert_array_equal(inputs["premise_word_ids"], words * mask)
    characters = inputs["hypothesis_char_ids"]
    assert characters.shape[2] == 3 and characters.dtype == "int16"
    assert (characters[1, 0] == np.arange(3) + 3 * 3).all()


def test_few_lengths_round_up():
    examples = make_examples(few_lengths=True)
    inputs, _ = examples.take(np.flatnonzero(LENGTHS == 65)[:1])
    assert inputs["premise_word_ids"].shape[1] == 96
    lengths = {
        examples.take([i])[0]["premise_word_ids"].shape[1]
        for i in range(len(examples))
    }
    assert lengths == {16, 24, 32, 48, 64, 96}


def test_a_text_without_words_is_one_padded_unit():
    rows = [np.zeros(0, "int32")]
    inputs, targets = Examples({"": rows}, {"word_ids": np.arange(3)}).take([0])
    assert inputs["word_ids"].tolist() == [[0]]
    assert inputs["padding_mask"].tolist() == [[False]]
    assert targets is None


def test_a_batch_depends_on_seed_and_step_alone():
    one, two = (BucketedBatches(make_examples(), 8, seed=7) for _ in range(2))
    steps = 2 * one.steps_per_epoch + 1
    ahead = [one.batch(step)[1] for step in range(steps)]
    for step in reversed(range(steps)):
        np.testing.assert_array_equal(two.batch(step)[1], ahead[step])
    other = BucketedBatches(make_examples(), 8, seed=8)
    assert any((other.batch(i)[1] != ahead[i]).any() for i in range(steps))


def test_an_epoch_has_every_example_once_but_the_rest():
    batches = BucketedBatches(make_examples(), 8)
    assert batches.steps_per_epoch == 203 // 8
    left_out = set()
    for epoch in range(3):
        counts = collections.Counter(batches.epoch_plan(epoch).ravel())
        assert len(counts) == 200 and set(counts.values()) == {1}
        left_out |= set(range(203)) - set(counts)
    assert len(left_out) > 3


def test_batches_hold_texts_of_similar_length():
    batches = BucketedBatches(make_examples(), 8)
    lengths = batches.examples.lengths[batches.epoch_plan(0)]
    assert np.ptp(lengths, axis=1).mean() < np.ptp(LENGTHS) / 8
    assert (np.diff(lengths.mean(1)) < 0).any()  # not in the order of length


def test_evaluation_covers_all_once_and_restores_the_order():
    batches = EvaluationBatches(make_examples(), 10)
    assert len(batches) == 21 and batches.batch_size is None
    outputs = np.concatenate([targets for _, targets in batches])
    np.testing.assert_array_equal(batches.restore(outputs), np.arange(203))
    assert EvaluationBatches(make_examples(), 7).batch_size == 7
    with pytest.raises(IndexError, match="step=21"):
        batches.batch(21)


@pytest.mark.parametrize("kind", [BucketedBatches, EvaluationBatches])
def test_as_dataset_gives_the_same_batches(kind):
    batches = kind(make_examples(), 8)
    dataset = as_dataset(batches, start_step=2, num_steps=3)
    inputs, targets = dataset.element_spec
    size = 8 if kind is BucketedBatches else None
    assert inputs["premise_char_ids"].shape.as_list() == [size, None, 3]
    assert targets.shape.as_list() == [size]
    for step, (inputs, targets) in enumerate(dataset, 2):
        wanted_inputs, wanted_targets = batches.batch(step)
        np.testing.assert_array_equal(targets, wanted_targets)
        for name, value in wanted_inputs.items():
            np.testing.assert_array_equal(inputs[name], value)
    assert step == 4
    _, targets = PyBatches(batches, 2, 3)[1]
    np.testing.assert_array_equal(targets, batches.batch(3)[1])


def test_as_dataset_of_several_targets_and_of_none():
    examples = make_examples()
    examples.targets = {"start": np.arange(203), "end": np.arange(203) + 1}
    _, targets = next(iter(as_dataset(EvaluationBatches(examples, 203))))
    np.testing.assert_array_equal(targets["end"] - targets["start"], 1)
    examples.targets = None
    (inputs,) = next(iter(as_dataset(EvaluationBatches(examples, 203))))
    assert inputs["premise_word_ids"].shape[0] == 203


def test_wrong_arguments_are_named():
    rows = [np.ones(2, "int32")]
    with pytest.raises(ValueError, match="'hypothesis': 2"):
        Examples({"premise": rows, "hypothesis": rows * 2}, {})
    with pytest.raises(ValueError, match="at least one example"):
        Examples({"": []}, {})
    with pytest.raises(ValueError, match="'targets': 3"):
        Examples({"": rows}, {}, np.arange(3))
    examples = Examples({"": rows}, {})
    with pytest.raises(ValueError, match="batch_size=0"):
        BucketedBatches(examples, 0)
    with pytest.raises(ValueError, match="batch_size=0"):
        EvaluationBatches(examples, 0)
    with pytest.raises(ValueError, match="step=-1"):
        BucketedBatches(examples, 1).batch(-1)
