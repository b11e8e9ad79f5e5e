import json
import os
import pathlib

import h5py
import numpy as np
import pytest

from glomo_keras import data
from tests import elmo_reference as reference
from tests.backends import to_numpy

TOLERANCE = 1e-5
TEXTS = [["Some", "words", ",", "née", "here"], ["x" * 30, "."]]
ORIGINAL = reference.options(
    projection_dim=512,
    dim=4096,
    filters=[
        [1, 32],
        [2, 32],
        [3, 64],
        [4, 128],
        [5, 256],
        [6, 512],
        [7, 1024],
    ],
    embedding={"dim": 16},
    max_characters_per_token=50,
    cell_clip=3,
    proj_clip=3,
)


def run(elmo, texts, size):
    ids = data.elmo_char_ids(texts, max_characters=size)
    return to_numpy(elmo.language_model(ids))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_skip_connections": False},
        {"activation": "tanh"},
        {"projection_dim": 10},  # as many as filters: no projection
        {"cell_clip": None, "proj_clip": None, "n_layers": 3},
        {"n_highway": 0, "max_characters_per_token": 50, "n_layers": 1},
        {"n_characters": 261},
    ],
)
def test_all_layers_equal_numpy(tmp_path, changes):
    options = reference.options(**changes)
    arrays = reference.arrays(options)
    assert ("CNN_proj/W_proj" in arrays) == ("projection_dim" not in changes)
    elmo = data.load_elmo(*reference.write(tmp_path, options, arrays))
    size = options["char_cnn"]["max_characters_per_token"]
    expected = reference.batch_layers(TEXTS, options, arrays)
    outputs = run(elmo, TEXTS, size)
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE)


def test_clips_of_the_tiny_model_cut_something_off():
    """Otherwise the comparison above would not see them."""
    options = reference.options()
    arrays = reference.arrays(options)
    free = reference.options(cell_clip=None, proj_clip=None)
    for name in ("cell_clip", "proj_clip"):
        half = reference.options(**{name: None})
        for other in (options, free):
            assert np.any(
                np.abs(
                    reference.batch_layers(TEXTS, half, arrays)
                    - reference.batch_layers(TEXTS, other, arrays)
                )
                > 0.01
            )


def test_projection_of_as_many_filters_is_used_where_the_file_has_one(
    tmp_path,
):
    options = reference.options(projection_dim=10)
    arrays = reference.arrays(options)
    arrays["CNN_proj/W_proj"] = np.eye(10, dtype="float32")[::-1]
    arrays["CNN_proj/b_proj"] = np.ones(10, "float32")
    elmo = data.load_elmo(*reference.write(tmp_path, options, arrays))
    expected = reference.batch_layers(TEXTS, options, arrays)
    outputs = run(elmo, TEXTS, 12)
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE)


def test_original_sizes_have_the_published_number_of_parameters():
    sizes = [np.prod(s) for s in reference.shapes(ORIGINAL).values()]
    assert sum(sizes) == 93_600_848


@pytest.mark.slow
def test_original_sizes_equal_numpy(tmp_path):
    """The published file's size, 374 MB, with numbers drawn at random."""
    rng = np.random.default_rng(0)
    arrays = {
        key: rng.normal(scale=np.prod(shape[:-1]) ** -0.5, size=shape)
        for key, shape in reference.shapes(ORIGINAL).items()
    }
    arrays = {key: array.astype("float32") for key, array in arrays.items()}
    elmo = data.load_elmo(*reference.write(tmp_path, ORIGINAL, arrays))
    expected = reference.batch_layers(TEXTS, ORIGINAL, arrays)
    assert np.all(expected.std(axis=(0, 2, 3)) > 0.05)
    outputs = run(elmo, TEXTS, 50)
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE)


def test_arguments_of_a_layer_reach_it(tmp_path):
    options = reference.options()
    paths = reference.write(tmp_path, options, reference.arrays(options))
    elmo = data.load_elmo(*paths, name="features", dtype="bfloat16")
    assert elmo.name == "features"
    assert elmo.dtype_policy.name == "bfloat16"
    ids = data.elmo_char_ids(TEXTS, max_characters=12)
    for layer in (elmo, elmo.language_model):
        assert "bfloat16" in str(layer(ids).dtype)


def broken(tmp_path, options=None, arrays=None, without=()):
    options = options or reference.options()
    arrays = {**reference.arrays(reference.options()), **(arrays or {})}
    for key in without:
        del arrays[key]
    return reference.write(tmp_path, options, arrays)


@pytest.mark.parametrize(
    "key", sorted(reference.shapes(reference.OPTIONS))[::4]
)
def test_missing_array_is_named(tmp_path, key):
    """Without CNN_proj/W_proj there is still a CNN_proj/b_proj."""
    paths = broken(tmp_path, without=[key])
    with pytest.raises(ValueError, match="weights.hdf5 lacks 1 of") as caught:
        data.load_elmo(*paths)
    assert f"Received: no ['{key}']" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("char_embed", (262, 4)),
        ("CNN/W_cnn_1", (2, 4, 5)),
        ("CNN_high_0/W_carry", (10, 9)),
        (reference.CELL.format(1, 1, "W_0"), (6, 32)),
        (reference.CELL.format(0, 1, "B"), (31,)),
    ],
)
def test_wrong_shape_is_named(tmp_path, key, shape):
    paths = broken(tmp_path, arrays={key: np.zeros(shape, "float32")})
    with pytest.raises(ValueError, match="must have shape") as caught:
        data.load_elmo(*paths)
    assert f"{paths[1]}: {key} " in str(caught.value)
    assert f"Received: {shape}" in str(caught.value)


def test_number_that_is_not_finite_is_named(tmp_path):
    array = np.array([0.0, np.nan, 0.0], "float32")
    paths = broken(tmp_path, arrays={"CNN/b_cnn_0": array})
    with pytest.raises(ValueError, match="CNN/b_cnn_0 not finite"):
        data.load_elmo(*paths)


@pytest.mark.parametrize(
    "keys",
    [("lstm",), ("char_cnn",), *data.vectors.elmo_files.ENTRIES.values()],
)
def test_missing_option_is_named(tmp_path, keys):
    options = reference.options()
    part = options
    for key in keys[:-1]:
        part = part[key]
    del part[keys[-1]]
    with pytest.raises(ValueError, match="options.json lacks") as caught:
        data.load_elmo(*broken(tmp_path, options))
    assert f"{'.'.join(keys)!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "swish"}, "`activation` must be one of"),
        ({"n_characters": 100}, "n_characters.*at least 261"),
        ({"n_layers": "two"}, "`num_layers` must be a positive integer"),
        ({"filters": 3}, "options.json: "),
        ({"cell_clip": "3"}, "options.json: "),
    ],
)
def test_bad_option_is_named(tmp_path, changes, message):
    paths = broken(tmp_path, reference.options(**changes))
    with pytest.raises(ValueError, match=message) as caught:
        data.load_elmo(*paths)
    assert str(paths[0]) in str(caught.value)


def test_other_files_are_refused(tmp_path):
    paths = broken(tmp_path)
    with pytest.raises(ValueError, match="options.json is no HDF5 file"):
        data.load_elmo(paths[0], paths[0])
    with pytest.raises(ValueError, match="weights.hdf5, line 1, is not JSON"):
        data.load_elmo(paths[1], paths[1])
    for place in range(2):
        wrong = list(paths)
        wrong[place] = tmp_path / "none"
        with pytest.raises(FileNotFoundError):
            data.load_elmo(*wrong)
    paths[1].write_bytes(paths[1].read_bytes()[:3000])
    with pytest.raises(ValueError, match="weights.hdf5 .*damaged"):
        data.load_elmo(*paths)


FIXTURE = os.environ.get("GLOMO_ELMO_FIXTURE")


@pytest.mark.skipif(not FIXTURE, reason="GLOMO_ELMO_FIXTURE names no folder")
def test_published_fixture():
    """The first batch of AllenNLP's test files; later ones carry a state."""
    folder = pathlib.Path(FIXTURE)
    elmo = data.load_elmo(folder / "options.json", folder / "lm_weights.hdf5")
    sentences = json.loads((folder / "sentences.json").read_text())
    texts = [group[0].split() for group in sentences]
    outputs = run(elmo, texts, 50)[:, -1]
    for row, text in enumerate(texts):
        with h5py.File(folder / f"lm_embeddings_{row}.hdf5") as file:
            expected = np.concatenate(file["0"], axis=-1)
        found = outputs[row, : len(text)]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
