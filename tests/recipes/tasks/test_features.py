"""The features of the words of a task."""

import pathlib

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras import bundled_presets
from glomo_keras import data
from recipes.tasks.features import check_features
from recipes.tasks.features import load_features
from recipes.tasks.options import FeatureOptions
from tests import elmo_reference
from tests.backends import to_numpy
from tests.recipes import small_tasks

TOLERANCE = 1e-5
WORDS = ["The", "cat", "unheard"]


@pytest.fixture
def lexicon():
    lexicon = data.Lexicon()
    lexicon.add_words([WORDS])
    return lexicon


@pytest.fixture
def files(tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("the 1 2 3\nCat 4 5 6\n")
    sizes = elmo_reference.options(max_characters_per_token=50)
    made = elmo_reference.arrays(sizes)
    options, weights = elmo_reference.write(tmp_path, sizes, made)
    return {
        "vectors": vectors,
        "elmo_options": options,
        "elmo_weights": weights,
    }


def test_word_vectors_have_a_row_for_each_word_found(files, lexicon):
    features = load_features(FeatureOptions(**files), lexicon)
    assert features.facts == {
        "words": 3,
        "words_with_vector": 2,
        "vector_width": 3,
    }
    rows = features.tables["word_ids"]
    layer = features.layers()["word_ids"]
    np.testing.assert_array_equal(
        to_numpy(layer(rows)), [[0, 0, 0], [1, 2, 3], [4, 5, 6], [0, 0, 0]]
    )
    assert not layer.trainable_weights


def test_elmo_reads_the_words_in_their_text(files, lexicon):
    features = load_features(FeatureOptions(features="elmo", **files), lexicon)
    assert features.facts["elmo_width"] == 12
    assert not features.tables["char_ids"][0].any()
    batch = features.tables["char_ids"][np.array([[1, 2], [3, 0]])]
    outputs = to_numpy(features.layers()["char_ids"](batch))
    expected = data.load_elmo(files["elmo_options"], files["elmo_weights"])(
        data.elmo_char_ids([["The", "cat"], ["unheard"]])
    )
    np.testing.assert_allclose(outputs, to_numpy(expected), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["vectors", "elmo_options", "elmo_weights"])
@pytest.mark.parametrize("missing", [False, True])
def test_files_that_are_not_there_are_refused(files, name, missing, tmp_path):
    files[name] = None if missing else tmp_path / "none"
    options = FeatureOptions(features="glove+elmo", **files)
    with pytest.raises(ValueError, match=f"Received: {name}="):
        check_features(options)


def test_bad_elmo_is_refused_before_the_texts_are_read(files):
    files["elmo_weights"].write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is no HDF5 file"):
        check_features(FeatureOptions(features="elmo", **files))


def test_model_of_elmo_trains_its_mix_alone_and_is_saved(
    files, lexicon, tmp_path
):
    features = load_features(
        FeatureOptions(features="glove+elmo", **files), lexicon
    )
    assert list(features.tables) == ["word_ids", "char_ids"]
    assert {"vector_width", "elmo_width"} <= set(features.facts)
    model = gk.models.TextClassifier(features.layers(), hidden_dim=4)
    trained = [w.path for w in model.trainable_weights if "elmo" in w.path]
    assert trained == ["elmo/mix/logits", "elmo/mix/gamma"]
    words = np.array([[1, 2, 3], [3, 0, 0]])
    inputs = {name: x[words] for name, x in features.tables.items()}
    inputs["padding_mask"] = words > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        to_numpy(loaded(inputs)["logits"]),
        to_numpy(model(inputs)["logits"]),
        atol=TOLERANCE,
    )
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def pretrained(folder, **kwargs):
    return FeatureOptions(features="pretrained", pretrainer=folder, **kwargs)


def test_pretrainer_reads_the_words_in_their_text(lexicon, tmp_path):
    folder = small_tasks.write_pretrainer(tmp_path / "pretrainer")
    features = load_features(pretrained(folder), lexicon)
    assert features.facts == {"pretrained_width": 8}
    ids = features.tables["token_ids"]
    words = small_tasks.WORDS
    assert ids.tolist() == [
        0,
        2 + words.index("the"),
        2 + words.index("cat"),
        1,
    ]
    batch = {"token_ids": ids[None], "padding_mask": ids[None] > 0}
    model = gk.ContextPretrainer.from_preset(folder)
    found = to_numpy(model.features(batch))
    layers = [
        np.concatenate([found["embeddings"][:, None], found[name]], axis=1)
        for name in ("forward_features", "backward_features")
    ]
    expected = np.concatenate(layers, axis=-1).mean(axis=1)
    outputs = to_numpy(features.layers()["token_ids"](batch))
    np.testing.assert_allclose(outputs[:, 1:], expected[:, 1:], atol=TOLERANCE)


def test_pretrainer_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled_presets, "FOLDER", tmp_path)
    predictor = small_tasks.make_predictor(WORDS)
    gk.ContextPretrainer(predictor).save_to_preset(tmp_path / "name")
    check_features(pretrained(pathlib.Path("name")))


def test_preset_without_a_feature_predictor_is_refused(tmp_path):
    folder = small_tasks.write_predictor(tmp_path / "preset")
    with pytest.raises(ValueError, match="whole pretrainer.*a GraphPredictor"):
        check_features(pretrained(folder))
    with pytest.raises(ValueError, match="A preset is a folder.*Received"):
        check_features(pretrained(folder / "config.json"))
    with pytest.raises(ValueError, match="metadata.json is missing"):
        check_features(pretrained(tmp_path))


def test_pretrainer_without_a_vocabulary_is_refused(tmp_path):
    predictor = small_tasks.make_predictor(WORDS)
    predictor.vocabulary = None
    gk.ContextPretrainer(predictor).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="has no vocabulary. Received"):
        check_features(pretrained(tmp_path))
