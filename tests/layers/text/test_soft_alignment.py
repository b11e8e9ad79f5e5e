import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import SoftAlignment
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
OTHER_MASK = np.arange(5) < np.array([[5], [2]])


def aligned(a, b, *masks):
    return [to_numpy(x) for x in SoftAlignment()(a, b, *masks)]


def test_layer(tmp_path):
    run_layer_test(
        SoftAlignment,
        {},
        {"premise": features(), "hypothesis": features(length=5, seed=2)},
        tmp_path,
        ((2, 7, 8), (2, 5, 8)),
        num_weights=0,
    )


def test_outputs_equal_the_formula_on_unpadded_positions():
    a, b = features(), features(length=5, seed=2)
    mask = padding_mask()
    to_b, to_a = aligned(a, b, mask, OTHER_MASK)
    for i in range(len(a)):
        x, y = a[i, mask[i]], b[i, OTHER_MASK[i]]
        e = x @ y.T
        np.testing.assert_allclose(
            to_b[i, mask[i]], reference.softmax(e) @ y, atol=TOLERANCE
        )
        np.testing.assert_allclose(
            to_a[i, OTHER_MASK[i]], reference.softmax(e.T) @ x, atol=TOLERANCE
        )


def test_alignment_of_three_positions_by_hand():
    a = np.array([[[0.0], [1.0]]])
    b = np.array([[[0.0], [np.log(3.0)]]])
    to_b, to_a = aligned(a, b)
    high = np.log(3.0)
    # Scores [[0, 0], [0, log 3]]: shares of a half, and of 1/4 and 3/4.
    np.testing.assert_allclose(to_b[0, :, 0], [high / 2, high * 0.75], 1e-6)
    np.testing.assert_allclose(to_a[0, :, 0], [0.5, 0.75], rtol=1e-6)


def test_padding_changes_nothing():
    a, b, mask = features(), features(length=5, seed=2), padding_mask()
    expected = aligned(a, b, mask, OTHER_MASK)
    a[~mask], b[~OTHER_MASK] = 1e3, -1e3
    more = [np.pad(x, ((0, 0), (0, 3), (0, 0))) for x in (a, b)]
    masks = [np.pad(m, ((0, 0), (0, 3))) for m in (mask, OTHER_MASK)]
    found = aligned(*more, *masks)
    for x, y, m in zip(found, expected, (mask, OTHER_MASK), strict=True):
        np.testing.assert_allclose(x[:, : m.shape[1]][m], y[m], atol=TOLERANCE)


def test_both_keras_masks_are_handed_on():
    masks = (padding_mask(), OTHER_MASK)
    x = [features(), features(length=5, seed=2)]
    x = [y * mask[..., None] for y, mask in zip(x, masks, strict=True)]
    inputs = [keras.Input((None, 8)), keras.Input((None, 8))]
    outputs = SoftAlignment()(*map(keras.layers.Masking(), inputs))
    pool = keras.layers.GlobalAveragePooling1D()
    model = keras.Model(inputs, [*outputs, *map(pool, outputs)])
    *aligned, first, second = (to_numpy(y) for y in model(x))
    for y, mask, pooled in zip(aligned, masks, (first, second), strict=True):
        expected = y[1, mask[1]].mean(0)
        np.testing.assert_allclose(pooled[1], expected, atol=TOLERANCE)


def test_position_with_nothing_to_be_aligned_with_gets_zero_and_a_gradient():
    a, b = features(), features(length=5, seed=2)
    nothing = np.zeros((2, 5), "bool")

    def total(a, b):
        outputs = SoftAlignment()(a, b, padding_mask(), nothing)
        return sum(ops.sum(ops.square(x)) for x in outputs)

    np.testing.assert_array_equal(aligned(a, b, padding_mask(), nothing)[0], 0)
    _, gradients = value_and_gradients(total, [a, b])
    assert all(np.isfinite(g).all() for g in gradients)
    assert np.abs(gradients[0]).max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, 7), (2, 5, 8)), "`premise` must have shape"),
        (((2, 7, 8), (2, 8)), "`hypothesis` must have shape"),
        (((2, 7, 8), (2, 5, 4)), "must have the same width"),
        (((2, 7, 8), (2, 5, 8), (2, 7, 1)), "`premise_mask` must have shape"),
        (((2, 7, 8), (2, 5, 8), (2, 7), (2, 6)), "same length T"),
    ],
)
def test_wrong_shapes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        SoftAlignment()(*(np.zeros(shape, "float32") for shape in arguments))
