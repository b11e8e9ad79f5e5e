import numpy as np
import pytest

from glomo_keras.layers import CharacterCNN
from tests.backends import to_numpy
from tests.layers.run_layer_test import run_layer_test

SIZES = {"vocabulary_size": 9, "embedding_dim": 4, "filters": 6}


def letters(units=7):
    rng = np.random.default_rng(0)
    return rng.integers(0, 9, (2, units, 8)).astype("int32")


def test_layer(tmp_path):
    run_layer_test(
        CharacterCNN,
        SIZES,
        {"letter_ids": letters()},
        tmp_path,
        (2, 7, 6),
        num_weights=3,
    )


def test_output_equals_the_formula():
    layer = CharacterCNN(**SIZES)
    found = to_numpy(layer(letters()))
    embeddings, kernel, bias = (to_numpy(w) for w in layer.weights)
    e = embeddings[letters()]  # (2, 7, 8, 4)
    windows = np.stack([e[:, :, p : p + 5] for p in range(4)], axis=2)
    expected = np.einsum("btpji,jio->btpo", windows, kernel).max(2) + bias
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"filters": 0}, (2, 7, 8), "`filters` must be"),
        ({}, (2, 7), "`letter_ids` must have shape"),
        ({}, (2, 7, 4), "Words need at least 5 letters"),
    ],
)
def test_wrong_arguments_are_refused(options, shape, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        CharacterCNN(**{**SIZES, **options})(np.zeros(shape, "int32"))
