import hashlib
import json
import pathlib
import shutil

import h5py
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy

TOLERANCE = 1e-6
SIZES = {
    "vocabulary_size": 6,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 1,
    "num_graph_layers": 2,
}
# A line separator, a next-line mark and a tab are parts of these tokens.
WORDS = ["<pad>", "<unk>", "a\u2028b", "c\u0085d", "e\tf", "é"]
INPUTS = {
    "token_ids": np.array([[2, 3, 4, 5]]),
    "padding_mask": np.array([[True, True, True, False]]),
}


@pytest.fixture(scope="module")
def predictor():
    predictor = gk.GraphPredictor(**SIZES)
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    return predictor


@pytest.fixture
def folder(predictor, tmp_path):
    predictor.save_to_preset(tmp_path / "preset")
    return tmp_path / "preset"


def edit_json(path, change):
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sign(folder, name):
    """Makes an edited file count as undamaged."""
    edit_json(
        folder / "metadata.json",
        lambda d: d["sha256"].update({name: _sha256(folder / name)}),
    )


def test_round_trip_keeps_graphs_vocabulary_and_tokenizer(predictor, folder):
    loaded = gk.GraphPredictor.from_preset(folder)
    assert loaded.vocabulary == WORDS
    assert loaded.tokenizer_config == predictor.tokenizer_config
    assert loaded.get_config() == {
        **predictor.get_config(),
        "trainable": False,
    }
    for name, graphs in predictor(INPUTS).items():
        found = to_numpy(loaded(INPUTS)[name])
        np.testing.assert_allclose(found, to_numpy(graphs), atol=TOLERANCE)


def test_sizes_may_be_numbers_of_numpy(tmp_path):
    predictor = gk.GraphPredictor(
        9, 8, num_heads=np.int64(2), key_dim=np.int32(3), num_conv_layers=1
    )
    predictor.save_to_preset(tmp_path)
    loaded = gk.GraphPredictor.from_preset(tmp_path)
    assert (loaded.num_heads, loaded.key_dim) == (2, 3)


def test_loaded_predictor_is_frozen_unless_asked(folder):
    frozen = gk.GraphPredictor.from_preset(folder)
    assert not frozen.trainable_weights
    free = gk.GraphPredictor.from_preset(folder, trainable=True)
    assert free.trainable_weights


@pytest.mark.parametrize("saved", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("asked", ["float32", "mixed_bfloat16"])
def test_dtype_is_the_one_asked_for(saved, asked, tmp_path):
    made = gk.GraphPredictor(**SIZES, dtype=saved)
    made.save_to_preset(tmp_path)
    loaded = gk.GraphPredictor.from_preset(tmp_path, dtype=asked)
    unasked = gk.GraphPredictor.from_preset(tmp_path)
    assert loaded.token_embedding.dtype_policy.name == asked
    assert unasked.token_embedding.dtype_policy.name == saved
    for weight, other in zip(made.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(other))


def test_pretrainer_preset_gives_both_models(tmp_path):
    pretrainer = gk.ContextPretrainer(
        gk.GraphPredictor(**SIZES), composition="residual"
    )
    pretrainer.graph_predictor.vocabulary = WORDS
    pretrainer.save_to_preset(tmp_path)
    loaded = gk.ContextPretrainer.from_preset(tmp_path)
    for a, b in zip(pretrainer.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    predictor = gk.GraphPredictor.from_preset(tmp_path)
    assert predictor.vocabulary == WORDS
    np.testing.assert_allclose(
        to_numpy(predictor(INPUTS))["forward_graphs"],
        to_numpy(pretrainer.graph_predictor(INPUTS))["forward_graphs"],
        atol=TOLERANCE,
    )


def test_preset_of_a_trained_model_leaves_the_optimizer_out(tmp_path):
    pretrainer = gk.ContextPretrainer(gk.GraphPredictor(**SIZES))
    pretrainer.compile("adam")
    pretrainer.fit(INPUTS, verbose=0)
    pretrainer.save_to_preset(tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert "optimizer" not in file
    loaded = gk.ContextPretrainer.from_preset(tmp_path)
    for a, b in zip(pretrainer.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_predictor_preset_is_no_pretrainer(folder):
    with pytest.raises(ValueError, match="GraphPredictor.from_preset"):
        gk.ContextPretrainer.from_preset(folder)


def test_saving_again_replaces_the_preset(folder):
    other = gk.GraphPredictor(**{**SIZES, "num_heads": 1})
    other.save_to_preset(folder)
    loaded = gk.GraphPredictor.from_preset(folder)
    assert loaded.num_heads == 1
    assert loaded.vocabulary is None


def test_numbers_of_numpy_are_stored(folder):
    other = gk.GraphPredictor(**{**SIZES, "dropout": np.float32(0.25)})
    other.save_to_preset(folder)
    assert gk.GraphPredictor.from_preset(folder).dropout == 0.25
    # What cannot be stored leaves the preset that is there as it was.
    other.dropout = {0.25}
    with pytest.raises(TypeError, match="numpy.generic"):
        other.save_to_preset(folder)
    assert gk.GraphPredictor.from_preset(folder).dropout == 0.25


def test_vocabulary_of_another_length_is_refused(predictor):
    with pytest.raises(ValueError, match="6 tokens.*Received: 2 tokens"):
        predictor.vocabulary = ["a", "b"]


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.weights.h5", "vocabulary.txt", "metadata.json"],
)
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        gk.GraphPredictor.from_preset(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "model.weights.h5", "vocabulary.txt"]
)
def test_changed_byte_is_told(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        gk.GraphPredictor.from_preset(folder)


def test_truncated_weights_are_told(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.weights.h5 is damaged"):
        gk.GraphPredictor.from_preset(folder)


def test_weights_of_another_model_are_told(folder, tmp_path):
    other = gk.GraphPredictor(**{**SIZES, "embedding_dim": 4})
    other.save_to_preset(tmp_path / "other")
    content = (tmp_path / "other" / "model.weights.h5").read_bytes()
    (folder / "model.weights.h5").write_bytes(content)
    sign(folder, "model.weights.h5")
    with pytest.raises(ValueError, match="model.weights.h5 does not fit"):
        gk.GraphPredictor.from_preset(folder)


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_broken_json_is_told(folder, name):
    (folder / name).write_text("{", "utf-8")
    if name == "config.json":
        sign(folder, name)
    with pytest.raises(ValueError, match=f"{name} is not JSON"):
        gk.GraphPredictor.from_preset(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(class_name="Other"), "class_name='Other'"),
        (lambda d: d.pop("config"), "must have the entries"),
        (lambda d: d["config"].update(new_option=1), "does not take.*new_opt"),
    ],
)
def test_config_of_another_class_is_told(folder, change, message):
    edit_json(folder / "config.json", change)
    sign(folder, "config.json")
    with pytest.raises(ValueError, match=f"config.json.*{message}"):
        gk.GraphPredictor.from_preset(folder)


def test_newer_format_is_told(folder):
    edit_json(folder / "metadata.json", lambda d: d.update(format_version=99))
    with pytest.raises(ValueError, match="metadata.json: .* upgrade.*99"):
        gk.GraphPredictor.from_preset(folder)


def test_short_vocabulary_is_told(folder):
    (folder / "vocabulary.txt").write_text("a\nb\n", "utf-8")
    sign(folder, "vocabulary.txt")
    with pytest.raises(ValueError, match="vocabulary.txt must have 6 lines"):
        gk.GraphPredictor.from_preset(folder)


def test_unknown_name_is_told(tmp_path):
    with pytest.raises(ValueError, match="Received: preset='no_such_preset'"):
        gk.GraphPredictor.from_preset("no_such_preset")


def test_layer_is_no_preset(folder):
    config = {"class_name": "GraphTransfer", "config": {"num_mixtures": 1}}
    edit_json(folder / "config.json", lambda d: d.update(config))
    sign(folder, "config.json")
    with pytest.raises(ValueError, match="config.json.*'GraphTransfer'"):
        gk.GraphPredictor.from_preset(folder)


def test_token_may_hold_a_carriage_return_but_no_newline(tmp_path):
    other = gk.GraphPredictor(**SIZES)
    other.vocabulary = ["a\r", "\rb", "c\r\x0b", "", " ", "f"]
    other.save_to_preset(tmp_path)
    loaded = gk.GraphPredictor.from_preset(tmp_path)
    assert loaded.vocabulary == other.vocabulary
    with pytest.raises(ValueError, match=r"newline.*Received: 'a\\nb'"):
        other.vocabulary = ["a\nb", *WORDS[1:]]


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path):
    made = gk.GraphPredictor(300, 64, num_heads=2, key_dim=32)
    made.save_to_preset(tmp_path / "whole")
    made.save_to_preset(tmp_path / "half", dtype="float16")
    whole, half = (
        (tmp_path / name / "model.weights.h5").stat().st_size
        for name in ("whole", "half")
    )
    assert half < 0.7 * whole
    loaded = gk.GraphPredictor.from_preset(tmp_path / "half")
    for weight, other in zip(made.weights, loaded.weights, strict=True):
        assert other.dtype == "float32"
        rounded = to_numpy(weight).astype("float16").astype("float32")
        np.testing.assert_array_equal(to_numpy(other), rounded)
    with pytest.raises(ValueError, match="`dtype` must be.*dtype='int8'"):
        made.save_to_preset(tmp_path / "half", dtype="int8")


def test_weight_too_large_for_half_precision_is_named(tmp_path):
    good, large = gk.GraphPredictor(**SIZES), gk.GraphPredictor(**SIZES)
    large.token_embedding.embeddings.assign(1e5 * np.ones((6, 8)))
    with pytest.raises(ValueError, match="too large for float16.*embedding"):
        large.save_to_preset(tmp_path / "new", dtype="float16")
    assert not [*(tmp_path / "new").iterdir()]
    good.save_to_preset(tmp_path / "old")
    with pytest.raises(ValueError, match="too large for float16.*embedding"):
        large.save_to_preset(tmp_path / "old", dtype="float16")
    loaded = gk.GraphPredictor.from_preset(tmp_path / "old")
    for weight, other in zip(good.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(other), to_numpy(weight))


OLD = pathlib.Path(__file__).parent / "presets_of_format_1"
OLD_INPUTS = ("token_ids", "padding_mask", "images")


@pytest.mark.parametrize(
    "name", ["text", pytest.param("coupled", marks=pytest.mark.slow), "pixels"]
)
def test_preset_of_format_1_gives_its_numbers(name, tmp_path):
    """Presets and numbers were written by version 0.1."""
    cls = gk.PixelPretrainer if name == "pixels" else gk.ContextPretrainer
    with np.load(OLD / name / "expected.npz") as arrays:
        arrays = dict(arrays)
    inputs = {k: arrays.pop(k) for k in sorted(arrays) if k in OLD_INPUTS}
    shutil.copytree(OLD / name, tmp_path / "old")
    old = cls.from_preset(tmp_path / "old")
    old.save_to_preset(tmp_path / "new")
    for model in (old, cls.from_preset(tmp_path / "new")):
        found = {**model(inputs), **model.graph_predictor(inputs)}
        for key, values in arrays.items():
            np.testing.assert_allclose(
                to_numpy(found[key]), values, atol=1e-5, err_msg=key
            )
    assert old.graph_predictor.vocabulary == (
        None if name == "pixels" else list("abcdefghi")
    )


def test_shipped_pretrainer_has_graphs_and_features_that_predict_words():
    pretrainer = gk.ContextPretrainer.from_preset("glomo_medium_en")
    tokenizer = gk.data.WordTokenizer.from_preset("glomo_medium_en")
    batch = tokenizer(
        [
            "The film was directed by the same man who wrote the book, and it "
            "is one of the best films of the year.",
            "She was born in the north of England in 1911, and died there.",
        ]
    )
    inputs = {name: to_numpy(batch[name]) for name in INPUTS}
    graphs = gk.GraphPredictor.from_preset("glomo_medium_en")(inputs)
    for graph in graphs.values():
        assert tuple(graph.shape[:3]) == (2, 3, 8)
        sums = to_numpy(graph).sum(-1)
        assert np.all((np.abs(sums - 1) < 1e-5) | (sums == 0))
    pretrainer.compile()
    metrics = pretrainer.evaluate(inputs, return_dict=True, verbose=0)
    assert metrics["loss"] < np.log(200)  # of 20,000 words
