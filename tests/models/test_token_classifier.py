"""TokenClassifier: words by a linear layer."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy

INPUTS = {
    "word_ids": np.array([[5, 6, 7, 0], [8, 5, 3, 2]]),
    "padding_mask": np.array([[True] * 3 + [False], [True] * 4]),
}


def make_model(graphs=None, **options):
    keras.utils.set_random_seed(0)
    return gk.models.TokenClassifier(
        {"word_ids": keras.layers.Embedding(9, 6)},
        graphs,
        num_classes=4,
        **options,
    )


def logits_of(model, inputs=INPUTS):
    return to_numpy(model(inputs)["logits"])


def test_without_graphs_a_word_is_classified_by_itself():
    logits = logits_of(make_model())
    assert logits.shape == (2, 4, 4)
    np.testing.assert_allclose(logits[0, 0], logits[1, 1], rtol=1e-6)


def test_graphs_let_a_word_see_the_others():
    logits = logits_of(make_model(gk.layers.UniformGraph()))
    assert np.abs(logits[0, 0] - logits[1, 1]).max() > 1e-3


def test_padding_changes_nothing():
    model = make_model(gk.layers.UniformGraph())
    cut = {name: x[:1, :3] for name, x in INPUTS.items()}
    np.testing.assert_allclose(
        logits_of(model)[:1, :3], logits_of(model, cut), atol=1e-6
    )


@pytest.mark.parametrize("hidden_dim", [0, 5])
def test_file_gives_the_same_model(tmp_path, hidden_dim):
    model = make_model(gk.layers.UniformGraph(), hidden_dim=hidden_dim)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits_of(loaded), logits_of(model))
    assert (loaded.hidden_dense is None) == (hidden_dim == 0)


def test_training_weighs_words():
    model = make_model(hidden_dim=8)
    model.compile(
        keras.optimizers.Adam(0.1),
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
    )
    tags = INPUTS["word_ids"] % 4
    weights = INPUTS["padding_mask"].astype("float32")
    model.fit(
        INPUTS,
        {"logits": tags},
        sample_weight={"logits": weights},
        epochs=30,
        verbose=0,
    )
    right = logits_of(model).argmax(-1) == tags
    assert right[INPUTS["padding_mask"]].all()


def test_words_without_weight_teach_nothing():
    model = make_model(hidden_dim=8)
    model.compile(
        keras.optimizers.Adam(0.1),
        {"logits": keras.losses.SparseCategoricalCrossentropy(True)},
    )
    words = {
        "word_ids": np.array([[5, 5, 5, 6]]),
        "padding_mask": np.ones((1, 4), "bool"),
    }
    model.fit(
        words,
        {"logits": np.array([[1, 2, 2, 3]])},
        sample_weight={"logits": np.array([[1.0, 0.0, 0.0, 1.0]])},
        epochs=30,
        verbose=0,
    )
    assert logits_of(model, words).argmax(-1)[0].tolist() == [1, 1, 1, 3]


@pytest.mark.parametrize(
    "options", [{"hidden_dim": -1}, {"dropout": 1.0}, {"hidden_dim": 2.5}]
)
def test_arguments_out_of_their_range_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"Received: {name}="):
        make_model(**options)
