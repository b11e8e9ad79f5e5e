"""Checkpoints on disk: whole, kept, damaged."""

import ml_dtypes
import numpy as np
import pytest

from glomo_keras.training.checkpoint_store import CheckpointStore


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoint")
    for number in (1, 2, 3):
        weights = np.full((100,), number, "float32")
        store.save(number, {"weights": weights}, {"epochs_done": number})
    return store


def test_newest_is_loaded_and_two_are_kept(store):
    arrays, state = store.load()
    assert state == {"epochs_done": 3}
    np.testing.assert_array_equal(arrays["weights"], np.full((100,), 3))
    names = [path.name for path in store.paths()]
    assert names == ["checkpoint-00000002.npz", "checkpoint-00000003.npz"]


def test_empty_folder_has_no_checkpoint(tmp_path):
    assert CheckpointStore(tmp_path).load() is None


def truncate(data):
    return data[: len(data) // 2]


def flip_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def empty(data):
    return b""


@pytest.mark.parametrize("damage", [truncate, flip_bit, empty])
def test_damaged_newest_falls_back_with_a_warning(store, damage):
    newest = store.paths()[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match=f"{newest} is damaged"):
        arrays, state = store.load()
    assert state == {"epochs_done": 2}
    store.save(3, arrays, {"epochs_done": 3})
    assert store.load()[1] == {"epochs_done": 3}


@pytest.mark.filterwarnings("ignore:The checkpoint")
def test_all_damaged_is_an_error(store):
    for path in store.paths():
        path.write_bytes(b"")
    with pytest.raises(OSError, match="No checkpoint can be read"):
        store.load()


def test_failed_save_keeps_the_older_ones(store):
    with pytest.raises(TypeError):
        store.save(4, {}, {"state": object()})
    assert store.load()[1] == {"epochs_done": 3}


def test_bfloat16_is_kept_exactly(store):
    values = np.linspace(-3, 3, 50).astype(ml_dtypes.bfloat16)
    store.save(4, {"weights": values}, {})
    loaded = store.load()[0]["weights"]
    np.testing.assert_array_equal(loaded.astype(values.dtype), values)


def test_keep_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="Received: keep=0"):
        CheckpointStore(tmp_path, keep=0)
