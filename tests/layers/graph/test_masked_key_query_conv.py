import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import MaskedKeyQueryConv
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def randomised(layer, shape):
    layer.build(shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        if "seed" in weight.path:
            continue
        values = rng.normal(size=weight.shape) / 2
        if "variance" in weight.name:
            values = values**2 + 0.5
        weight.assign(values)
    return layer


@pytest.mark.parametrize(
    ("normalization", "num_weights"),
    [
        ("batch", 24),
        pytest.param("layer", 16, marks=pytest.mark.slow),
        pytest.param("none", 8, marks=pytest.mark.slow),
    ],
)
def test_layer(tmp_path, normalization, num_weights):
    run_layer_test(
        MaskedKeyQueryConv,
        {"filters": 4, "num_layers": 2, "normalization": normalization},
        {"inputs": features(6)},
        tmp_path,
        ((2, 7, 4), (2, 7, 4)),
        num_weights,
    )


@pytest.mark.slow
def test_layer_in_two_dimensions(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype("float32")
    run_layer_test(
        MaskedKeyQueryConv,
        {"filters": 4, "num_layers": 1, "rank": 2, "direction": "backward"},
        {"inputs": x},
        tmp_path,
        ((2, 7, 7, 4), (2, 7, 7, 4)),
        num_weights=12,
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("normalization", ["batch", "layer", "none"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_output_equals_the_formula(direction, normalization, masked, residual):
    x = features(6)
    layer = randomised(
        MaskedKeyQueryConv(
            4,
            num_layers=2,
            direction=direction,
            normalization=normalization,
            residual=residual,
        ),
        x.shape,
    )
    mask = padding_mask()[..., None] if masked else np.ones((2, 7, 1))
    found = layer(x, padding_mask=mask[..., 0] > 0)
    step = 1 if direction == "forward" else -1
    for name, values in zip(("key", "query"), found, strict=True):
        expected = x.astype("float64")[:, ::step]
        for conv, norm in zip(
            getattr(layer, f"{name}_convs"),
            getattr(layer, f"{name}_norms"),
            strict=True,
        ):
            kernel = to_numpy(conv.kernel)[::step]
            inputs = expected * mask[:, ::step]
            expected = reference.causal_conv(
                inputs, kernel, to_numpy(conv.bias)
            )
            expected = np.maximum(normalised(expected, norm), 0)
            if residual and inputs.shape == expected.shape:
                expected = inputs + expected
        np.testing.assert_allclose(
            to_numpy(values), expected[:, ::step], atol=TOLERANCE
        )


def normalised(x, norm):
    if norm is None:
        return x
    if isinstance(norm, keras.layers.LayerNormalization):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    else:
        mean = to_numpy(norm.moving_mean)
        variance = to_numpy(norm.moving_variance)
    x = (x - mean) / np.sqrt(variance + 1e-5)
    return x * to_numpy(norm.gamma) + to_numpy(norm.beta)


def test_training_normalises_real_positions_and_moves_the_averages():
    x, mask = features(6), padding_mask()
    layer = MaskedKeyQueryConv(6, num_layers=1)
    layer.build(x.shape)
    (norm,) = layer.key_norms
    found = to_numpy(norm(x, training=True, mask=mask))
    mean, variance = x[mask].mean(0), x[mask].var(0)
    expected = (x[mask] - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(found[mask], expected, atol=TOLERANCE)
    for average, value in (
        (norm.moving_mean, 0.1 * mean),
        (norm.moving_variance, 0.9 + 0.1 * variance),
    ):
        np.testing.assert_allclose(to_numpy(average), value, atol=TOLERANCE)


def test_window_of_three_positions_by_hand():
    layer = MaskedKeyQueryConv(
        1, num_layers=1, kernel_size=2, normalization="none"
    )
    x = np.array([[[1.0], [2.0], [4.0]]], "float32")
    layer.build(x.shape)
    layer.key_convs[0].kernel.assign([[[10.0]], [[1.0]]])
    keys, _ = layer(x)  # 10 times the one before, plus the position itself
    np.testing.assert_allclose(to_numpy(keys)[0, :, 0], [1, 12, 24])


@pytest.mark.parametrize(
    ("first_mask", "kernel", "expected"),
    [
        ("A", [[1, 2, 4], [8, 0, 0], [0, 0, 0]], [[0, 8], [6, 11]]),
        ("B", [[1, 2, 4], [8, 16, 0], [0, 0, 0]], [[16, 24], [22, 27]]),
    ],
)
def test_raster_masks_by_hand(first_mask, kernel, expected):
    layer = MaskedKeyQueryConv(
        1, num_layers=1, rank=2, first_mask=first_mask, normalization="none"
    )
    x = np.ones((1, 2, 2, 1), "float32")
    layer.build(x.shape)
    taps = np.array([[1, 2, 4], [8, 16, 32], [64, 128, 256]], "float32")
    layer.key_convs[0].kernel.assign(taps[..., None, None])
    keys, _ = layer(x)
    np.testing.assert_allclose(to_numpy(keys)[0, ..., 0], expected)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_no_position_sees_its_future(direction, normalization):
    x = features(6)
    layer = randomised(
        MaskedKeyQueryConv(
            5, num_layers=3, direction=direction, normalization=normalization
        ),
        x.shape,
    )
    before = to_numpy(layer(x))
    for position in range(7):
        changed = x.copy()
        changed[:, position] += 1
        after = to_numpy(layer(changed))
        earlier = (
            slice(position)
            if direction == "forward"
            else slice(position + 1, 7)
        )
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one[:, earlier], other[:, earlier])
            assert np.any(one != other)


@pytest.mark.parametrize(
    ("direction", "first_mask"), [("forward", "A"), ("backward", "B")]
)
def test_no_pixel_sees_its_future(direction, first_mask):
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype("float32")
    layer = randomised(
        MaskedKeyQueryConv(
            6,
            num_layers=3,
            rank=2,
            direction=direction,
            first_mask=first_mask,
        ),
        x.shape,
    )
    before = [y.reshape(20, 6) for y in to_numpy(layer(x))]
    for pixel in range(20):
        changed = x.copy()
        changed.reshape(20, 2)[pixel] += 1
        after = [y.reshape(20, 6) for y in to_numpy(layer(changed))]
        if direction == "forward":
            unmoved = slice(pixel + (first_mask == "A"))
        else:
            unmoved = slice(pixel + (first_mask == "B"), 20)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one[unmoved], other[unmoved])
        if first_mask == "B":
            assert np.any(before[0][pixel] != after[0][pixel])


def test_padding_and_its_amount_change_no_real_position():
    x = features(6)
    layer = randomised(MaskedKeyQueryConv(4, direction="backward"), x.shape)
    mask = padding_mask()
    expected = [y[mask] for y in to_numpy(layer(x, padding_mask=mask))]
    other = np.where(mask[..., None], x, 55.0).astype("float32")
    longer = np.pad(other, ((0, 0), (0, 5), (0, 0)), constant_values=-9)
    more = padding_mask(12)
    for values, padded in ((other, mask), (longer, more)):
        found = to_numpy(layer(values, padding_mask=padded))
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[padded], two, atol=1e-6)
    cleared = keras.layers.Masking()(x * mask[..., None])
    for one, two in zip(to_numpy(layer(cleared)), expected, strict=True):
        np.testing.assert_array_equal(one[mask], two)


def test_padding_takes_no_part_in_batch_statistics():
    def moved(x, mask):
        layer = randomised(MaskedKeyQueryConv(4, num_layers=2), x.shape)
        layer(x, padding_mask=mask, training=True)
        return [to_numpy(w) for w in layer.weights]

    x = features(6)
    longer = np.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=7)
    for one, two in zip(
        moved(x, padding_mask()), moved(longer, padding_mask(10)), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 7), (7,)])
def test_one_mask_for_all_is_that_of_each(shape):
    x, mask = features(6), padding_mask()[1:]
    found = []
    for given in (mask.reshape(shape), np.repeat(mask, len(x), axis=0)):
        layer = randomised(MaskedKeyQueryConv(4, num_layers=1), x.shape)
        outputs = to_numpy(layer(x, padding_mask=given, training=True))
        found.append([*outputs, *map(to_numpy, layer.weights)])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_a_frozen_layer_runs_in_inference_mode():
    x = features(6)
    layer = MaskedKeyQueryConv(4, num_layers=1, dropout=0.5)
    expected = to_numpy(layer(x))
    layer.trainable = False
    for one, two in zip(
        to_numpy(layer(x, training=True)), expected, strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("length", [1, 7])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_gradient_is_finite_without_a_real_position(length, normalization):
    layer = MaskedKeyQueryConv(4, num_layers=2, normalization=normalization)
    x = features(6, length, batch=1)
    layer.build(x.shape)

    def total(x):
        keys, queries = layer(
            x, padding_mask=np.zeros((1, length), bool), training=True
        )
        return ops.sum(keys * queries)

    if keras.backend.backend() == "jax":
        pytest.skip("JAX cannot keep the statistics of a training call here")
    value, (gradient,) = value_and_gradients(total, [x])
    assert np.isfinite(value)
    assert np.all(gradient == 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "`filters` must be a positive integer"),
        ({"num_layers": 0}, "`num_layers` must be a positive integer"),
        ({"kernel_size": 0}, "`kernel_size` must be a positive integer"),
        ({"rank": 3}, "`rank` must be one of"),
        ({"direction": "up"}, "`direction` must be one of"),
        ({"first_mask": "C"}, "`first_mask` must be one of"),
        ({"normalization": "group"}, "`normalization` must be one of"),
        ({"dropout": 1}, r"`dropout` must be in \[0, 1\)"),
        ({"rank": 2, "kernel_size": 4}, "must be odd for rank=2"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        MaskedKeyQueryConv(**{"filters": 4, **options})


@pytest.mark.parametrize(("rank", "shape"), [(1, (2, 7)), (2, (2, 7, 3))])
def test_inputs_of_another_rank_are_refused(rank, shape):
    layer = MaskedKeyQueryConv(4, rank=rank)
    with pytest.raises(ValueError, match="`inputs` must have shape.*Received"):
        layer(np.zeros(shape, "float32"))


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = MaskedKeyQueryConv(2, num_layers=1, kernel_initializer=initialize)
    layer.build((2, 7, 8))
    for weight in (layer.key_convs[0].kernel, layer.query_convs[0].kernel):
        assert np.all(to_numpy(weight) == 0.5)
