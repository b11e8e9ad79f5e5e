import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import BiAttention
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
TOLERANCE = 1e-5
MEMORY = np.arange(5) < np.array([[5], [2]])


def expected_outputs(layer, x, m, x_mask, m_mask):
    """The docstring's formulas, one text after the other, no padding."""
    kernel, memory_kernel, scale = (to_numpy(w) for w in layer.weights)
    blocks = np.zeros((*x.shape[:2], 4 * x.shape[2]))
    for b in range(len(x)):
        real, others = x[b][x_mask[b]], m[b][m_mask[b]]
        scores = real @ kernel + (others @ memory_kernel).T
        scores = scores + np.einsum("id,jd,d->ij", real, others, scale)
        if layer.exclude_diagonal:
            np.fill_diagonal(scores, -np.inf)
        attended = summary = np.zeros_like(real)
        if not layer.exclude_diagonal or len(others) > 1:
            attended = reference.softmax(scores) @ others
            summary = reference.softmax(scores.max(1)) @ real
        parts = [real, attended, real * attended, summary * attended]
        blocks[b, x_mask[b]] = np.concatenate(parts, -1)
    return blocks


@pytest.mark.parametrize(
    "exclude_diagonal", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_layer(tmp_path, exclude_diagonal):
    run_layer_test(
        BiAttention,
        {"exclude_diagonal": exclude_diagonal, "dropout": 0.1, "seed": 1},
        {"features": features(), "memory": features(length=5, seed=2)},
        tmp_path,
        (2, 7, 32),
        num_weights=3,
    )


@pytest.mark.parametrize("initializer", ["ones", None])
def test_scale_starts_as_asked(initializer):
    layer = BiAttention(scale_initializer=initializer)
    layer.build((1, 2, 16), (1, 3, 16))
    low, high = to_numpy(layer.scale).min(), to_numpy(layer.scale).max()
    assert (1 if initializer else 0.25) <= low <= high <= 1


def test_outputs_equal_the_formula_on_unpadded_positions():
    layer = BiAttention()
    x, m = features(), features(length=5, seed=2)
    outputs = to_numpy(layer(x, m, padding_mask(), MEMORY))
    expected = expected_outputs(layer, x, m, padding_mask(), MEMORY)
    real = padding_mask()
    np.testing.assert_allclose(outputs[real], expected[real], atol=TOLERANCE)


@pytest.mark.parametrize("lengths", [(7, 4), (7, 1)])
def test_self_attention_without_the_diagonal_equals_the_formula(lengths):
    layer = BiAttention(exclude_diagonal=True)
    x, mask = features(), padding_mask(lengths=lengths)
    outputs = to_numpy(layer(x, x, mask, mask))
    expected = expected_outputs(layer, x, x, mask, mask)
    np.testing.assert_allclose(outputs[mask], expected[mask], atol=TOLERANCE)


def test_attention_of_two_units_by_hand():
    layer = BiAttention()
    x, m = np.array([[[1.0], [2.0]]]), np.array([[[0.0], [1.0], [9.0]]])
    layer.build(x.shape, m.shape)
    layer.kernel.assign([[0.0]])
    layer.memory_kernel.assign([[0.0]])
    layer.scale.assign(np.log([3.0]))
    outputs = to_numpy(layer(x, m, memory_mask=np.array([[1, 1, 0]])))
    # Odds 3^(x_i m_j): 1 to 3 and 1 to 9; the highest are 3 and 9.
    summary = (3 * 1 + 9 * 2) / 12
    expected = [[1, 0.75, 0.75, summary * 0.75], [2, 0.9, 1.8, summary * 0.9]]
    np.testing.assert_allclose(outputs[0], expected, atol=1e-6)


def test_attention_is_that_of_the_released_code_without_padding():
    with np.load(GOLDENS / "transfer_emb_cond.npz") as arrays:
        golden = dict(arrays)
    for name, x, m in (
        ("qc_att", "rnn_out/p", "rnn_out/q"),
        ("self_att", "rnn_2_out/p", "rnn_2_out/p"),
    ):
        x, m = golden[f"mid/{x}"][:1], golden[f"mid/{m}"][:1]
        layer = BiAttention()
        layer.build(x.shape, m.shape)
        layer.kernel.assign(golden[f"param/{name}.input_linear.weight"].T)
        layer.memory_kernel.assign(
            golden[f"param/{name}.memory_linear.weight"].T
        )
        layer.scale.assign(golden[f"param/{name}.dot_scale"])
        expected = golden[f"mid/{name}_out/p"][:1]
        np.testing.assert_allclose(
            to_numpy(layer(x, m)), expected, atol=TOLERANCE
        )


@pytest.mark.parametrize("exclude_diagonal", [False, True])
def test_what_stands_in_padding_changes_no_real_position(exclude_diagonal):
    layer = BiAttention(exclude_diagonal)
    x, m, mask = features(), features(length=5, seed=2), padding_mask()
    before = to_numpy(layer(x, m, mask, MEMORY))
    x, m = (
        np.where(real[..., None], values, 1e3).astype("float32")
        for values, real in ((x, mask), (m, MEMORY))
    )
    after = to_numpy(layer(x, m, mask, MEMORY))
    np.testing.assert_array_equal(after[mask], before[mask])
    more = [((0, 0), (0, 3)), ((0, 0), (0, 3), (0, 0))]
    padded = to_numpy(
        layer(
            np.pad(x, more[1], constant_values=5),
            np.pad(m, more[1], constant_values=5),
            np.pad(mask, more[0]),
            np.pad(MEMORY, more[0]),
        )
    )
    np.testing.assert_allclose(padded[:, :7][mask], before[mask], atol=1e-6)


def test_keras_masks_are_used_and_handed_on():
    layer = BiAttention()
    x = features() * padding_mask()[..., None]
    m = features(length=5, seed=2) * MEMORY[..., None]
    inputs = [keras.Input((7, 8)), keras.Input((5, 8))]
    masked = [keras.layers.Masking()(i) for i in inputs]
    outputs = layer(*masked)
    pooled = keras.layers.GlobalAveragePooling1D()(outputs)
    values = to_numpy(keras.Model(inputs, [outputs, pooled])([x, m]))
    explicit = to_numpy(layer(x, m, padding_mask(), MEMORY))
    np.testing.assert_allclose(values[0], explicit, atol=1e-6)
    mean = explicit[1, :4].mean(0)
    np.testing.assert_allclose(values[1][1], mean, atol=1e-6)


@pytest.mark.parametrize("exclude_diagonal", [False, True])
def test_gradient_is_finite_where_nothing_is_admitted(exclude_diagonal):
    layer = BiAttention(exclude_diagonal)
    mask = padding_mask(length=1, lengths=(1, 0))
    value, gradients = value_and_gradients(
        lambda x: ops.sum(ops.square(layer(x, x, mask, mask))),
        [features(length=1)],
    )
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradients[0]))


def test_dropout_is_the_same_at_all_positions_of_a_sequence():
    layer = BiAttention(dropout=0.5, seed=1)
    x = np.ones((2, 7, 8), "float32")
    outputs = to_numpy(layer(x, x, training=True))
    np.testing.assert_array_equal(outputs, outputs[:, :1] * np.ones((1, 7, 1)))
    assert np.any(outputs[0] != outputs[1])
    again = BiAttention(dropout=0.5, seed=1)
    again.build(x.shape, x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(again(x, x, training=True)), outputs)


@pytest.mark.parametrize(
    ("x", "m", "masks", "message"),
    [
        ((2, 7), (2, 5, 8), {}, "`features` must have shape"),
        ((2, 7, 8), (2, 5), {}, "`memory` must have shape"),
        ((2, 7, 8), (2, 5, 6), {}, "must have the same width"),
        ((2, 7, 8), (2, 5, 8), {"memory_mask": (2, 7)}, "same length"),
        ((2, 7, 8), (2, 5, 8), {"features_mask": (7,)}, "must have shape"),
    ],
)
def test_wrong_shapes_are_refused(x, m, masks, message):
    masks = {name: np.ones(shape, bool) for name, shape in masks.items()}
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        BiAttention()(np.zeros(x, "float32"), np.zeros(m, "float32"), **masks)


def test_dropout_out_of_range_is_refused():
    with pytest.raises(ValueError, match="`dropout` must be.*Received: "):
        BiAttention(dropout=1.0)


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = BiAttention(kernel_initializer=initialize)
    layer.build((2, 7, 8), (2, 5, 8))
    for weight in (layer.kernel, layer.memory_kernel):
        assert np.all(to_numpy(weight) == 0.5)
