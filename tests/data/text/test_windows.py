"""Windows for training and evaluation."""

import os
import subprocess
import sys

import numpy as np
import pytest

from glomo_keras.data import EvaluationWindows
from glomo_keras.data import PyBatches
from glomo_keras.data import TokenStream
from glomo_keras.data import WindowSampler
from glomo_keras.data import as_dataset


def make_stream(lengths, gap=3):
    """A stream whose ids are all different; gaps between its texts."""
    lengths = np.array(lengths, dtype="int64")
    starts = np.cumsum(lengths + gap) - lengths
    ids = np.arange(starts[-1] + lengths[-1] + gap, dtype="int32")
    return TokenStream(ids, starts, lengths)


def all_ids(stream):
    return [i for n in range(stream.num_texts) for i in stream.text(n)]


RANDOM_LENGTHS = np.random.default_rng(0).integers(1, 300, 200)


def test_a_batch_depends_on_seed_and_step_alone():
    stream = make_stream(RANDOM_LENGTHS)
    one, two = (WindowSampler(stream, 4, 50, seed=7) for _ in range(2))
    last = 2 * one.steps_per_epoch + 1
    ahead = [one.batch(step)["token_ids"] for step in range(last)]
    for step in reversed(range(last)):
        np.testing.assert_array_equal(two.batch(step)["token_ids"], ahead[step])
    other = WindowSampler(stream, 4, 50, seed=8)
    shapes = [other.batch(i)["token_ids"].shape for i in range(last)]
    assert shapes != [ids.shape for ids in ahead]


def test_batches_have_the_lengths_and_steps_of_the_released_code():
    sampler = WindowSampler(make_stream(RANDOM_LENGTHS * 10), 4, 200)
    plan = sampler.epoch_plan(0)
    assert plan.lengths[-1] == 200
    assert 102 <= plan.lengths.min() < 110
    assert 190 < plan.lengths.max() <= 200
    assert 140 < plan.lengths.mean() < 152
    shifts = np.diff(plan.offsets)
    assert 85 <= shifts.min() and shifts.max() <= 115
    assert 97 < shifts.mean() < 103


def test_a_row_may_be_long():
    words, window = 4_000_000_000, 40_000_000
    ids = np.zeros(1, "uint16")  # a plan does not read them
    stream = TokenStream(ids, np.array([0]), np.array([words]))
    offsets = WindowSampler(stream, 1, window).epoch_plan(0).offsets
    assert offsets[-1] == words - window
    assert (np.diff(offsets) > 0).all()


def test_an_epoch_walks_each_row_to_its_end():
    stream = make_stream(RANDOM_LENGTHS)
    sampler = WindowSampler(stream, 4, 50)
    seen = set()
    for step in range(sampler.steps_per_epoch):
        batch = sampler.batch(step)
        assert batch["token_ids"].dtype == "int32"
        assert batch["padding_mask"].all()
        assert batch["padding_mask"].shape == batch["token_ids"].shape
        seen.update(batch["token_ids"].ravel().tolist())
    words = set(all_ids(stream))
    assert seen <= words
    assert len(seen) > 0.97 * len(words)


def test_texts_are_joined_in_an_order_of_their_own_each_epoch():
    stream = make_stream([30] * 50)
    sampler = WindowSampler(stream, 1, 1500)
    first, second = (sampler.batch(i)["token_ids"][0] for i in range(2))
    assert sorted(first) == sorted(second) == all_ids(stream)
    assert list(first) != list(second)
    starts = set(stream.text_starts.tolist())
    assert all(int(i) in starts for i in first[::30])


def test_small_streams_give_shorter_windows():
    sampler = WindowSampler(make_stream([20, 5, 15]), 4, 200)
    assert sampler.steps_per_epoch == 1
    assert sampler.batch(0)["token_ids"].shape == (4, 10)


@pytest.mark.parametrize("words", range(32, 500, 37))
def test_windows_stay_in_their_rows(words):
    sampler = WindowSampler(make_stream([words]), 4, 30)
    for epoch in range(3):
        plan = sampler.epoch_plan(epoch)
        assert len(plan.offsets) == sampler.steps_per_epoch
        assert (plan.lengths >= 8).all() and plan.offsets[0] == 0
        ends = plan.offsets + plan.lengths
        assert ends.max() == ends[-1] == sampler.row_length


def test_bad_samplers_are_refused():
    stream = make_stream([20])
    with pytest.raises(ValueError, match="24 words.*Received: 20 words in 1"):
        WindowSampler(stream, 3)
    with pytest.raises(ValueError, match="batch_size=0"):
        WindowSampler(stream, 0)
    with pytest.raises(ValueError, match="seed=-1"):
        WindowSampler(stream, 1, seed=-1)
    with pytest.raises(ValueError, match="step=-1"):
        WindowSampler(stream, 1).batch(-1)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("lengths", [[1], [5, 40, 1, 7], [24, 24]])
def test_evaluation_covers_every_token_once(lengths, batch_size):
    stream = make_stream(lengths)
    windows = EvaluationWindows(stream, batch_size, max_length=8)
    batches = list(windows)
    assert len(batches) == len(windows)
    seen = [b["token_ids"][b["padding_mask"]] for b in batches]
    assert np.concatenate(seen).tolist() == all_ids(stream)
    for batch in batches:
        assert batch["token_ids"].shape == (batch_size, 8)
        assert not batch["token_ids"][~batch["padding_mask"]].any()
    assert all(batch["padding_mask"].all() for batch in batches[:-1])


def test_bad_evaluation_is_refused():
    empty = TokenStream(
        np.zeros(3, "int32"), np.zeros(0, int), np.zeros(0, int)
    )
    with pytest.raises(ValueError, match="stream is empty"):
        EvaluationWindows(empty, 2)
    windows = EvaluationWindows(make_stream([5]), 2)
    with pytest.raises(IndexError, match="step=1"):
        windows.batch(1)
    with pytest.raises(ValueError, match="max_length=0"):
        EvaluationWindows(make_stream([5]), 2, 0)


def test_a_dataset_starts_at_any_step():
    sampler = WindowSampler(make_stream(RANDOM_LENGTHS), 4, 50)
    dataset = as_dataset(sampler, start_step=5, num_steps=3)
    assert dataset.element_spec["token_ids"].shape.as_list() == [4, None]
    assert int(dataset.cardinality()) == 3
    batches = list(dataset.as_numpy_iterator())
    for step, batch in zip(range(5, 8), batches, strict=True):
        expected = sampler.batch(step)
        assert sorted(batch) == sorted(expected)
        for name, array in expected.items():
            assert array.dtype == batch[name].dtype
            np.testing.assert_array_equal(array, batch[name])


def test_an_endless_dataset_goes_past_the_epoch():
    sampler = WindowSampler(make_stream([100]), 2, 20)
    dataset = as_dataset(sampler)
    assert int(dataset.cardinality()) == -1
    count = 3 * sampler.steps_per_epoch
    assert len(list(dataset.take(count))) == count


def test_evaluation_windows_are_a_finite_dataset():
    windows = EvaluationWindows(make_stream([50]), 2, 8)
    assert len(list(as_dataset(windows))) == len(windows) == 4
    assert len(list(as_dataset(windows, start_step=3))) == 1
    assert PyBatches(windows, 1, 2).num_batches == 2


def test_few_lengths_are_the_nearest_of_three():
    stream = make_stream(RANDOM_LENGTHS)
    many = WindowSampler(stream, 4, 40, seed=1)
    few = WindowSampler(stream, 4, 40, seed=1, few_lengths=True)
    plan = few.epoch_plan(0)
    assert set(plan.lengths.tolist()) == {20, 30, 40}
    assert np.abs(plan.lengths - many.epoch_plan(0).lengths).max() <= 5
    np.testing.assert_array_equal(plan.offsets, many.epoch_plan(0).offsets)


def test_windows_are_those_of_earlier_versions():
    sampler = WindowSampler(make_stream([90, 40]), 2, 20, seed=5)
    first, last = (sampler.batch(step)["token_ids"] for step in (0, 13))
    assert sampler.steps_per_epoch == 6
    assert first[:, [0, -1]].tolist() == [[96, 112], [28, 44]]
    assert last[:, [0, -1]].tolist() == [[104, 118], [36, 50]]


@pytest.mark.slow
def test_windows_need_no_tensorflow():
    code = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
from glomo_keras import data
for name in data.__all__:
    getattr(data, name)
stream = data.TokenStream(np.arange(99), np.array([0]), np.array([99]))
windows = data.as_dataset(data.WindowSampler(stream, 2, 20), num_steps=3)
assert windows.num_batches == 3 and windows[1][0]["token_ids"].shape[0] == 2
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
