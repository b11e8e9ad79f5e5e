import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.layers.pixels.pixel_embedding import value_waves
from glomo_keras.ops import pixels
from tests.backends import to_numpy
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 4, 7, 3)).astype("uint8")


def test_embedding_does_what_layers_do(tmp_path):
    run_layer_test(
        gk.layers.PixelEmbedding,
        {"units": 8},
        {"images": IMAGES.astype("int32")},
        tmp_path,
        output_shape=(3, 4, 7, 3, 8),
        num_weights=1,
    )


def test_embedding_takes_the_rows_of_its_table():
    layer = gk.layers.PixelEmbedding(units=9)
    found = to_numpy(layer(IMAGES))
    table = to_numpy(layer.table)
    for channel in range(3):
        np.testing.assert_array_equal(
            found[..., channel, :], table[channel][IMAGES[..., channel]]
        )


def test_close_values_start_alike_and_channels_apart():
    table = value_waves(24)
    products = table[0] @ table[0].T
    assert np.all(products.argmax(-1) == np.arange(256))
    assert products[100, 101] > products[100, 110] > products[100, 200]
    np.testing.assert_array_equal(table[0] @ table[1].T, 0)


def test_coordinates_do_what_layers_do(tmp_path):
    run_layer_test(
        gk.layers.PixelCoordinates,
        {"wave_lengths": [4, 9], "max_shift": 5, "seed": 1},
        {"images": np.ones((2, 4, 7, 3), "float32")},
        tmp_path,
        output_shape=(2, 4, 7, 11),
        num_weights=0,
    )


def test_coordinates_are_waves_of_row_and_column():
    layer = gk.layers.PixelCoordinates(wave_lengths=(4, 10), max_shift=9)
    found = to_numpy(layer(np.zeros((1, 3, 5, 2), "float32")))[0]
    for row in range(3):
        for column in range(5):
            waves = [
                function(2 * np.pi * place / length)
                for place in (row, column)
                for function in (np.sin, np.cos)
                for length in (4, 10)
            ]
            np.testing.assert_allclose(
                found[row, column], [0, 0, *waves], atol=TOLERANCE
            )


def test_coordinates_of_integer_images_are_those_of_floats():
    layer = gk.layers.PixelCoordinates()
    np.testing.assert_array_equal(
        to_numpy(layer(IMAGES)), to_numpy(layer(IMAGES.astype("float32")))
    )


def test_coordinates_shift_in_training_alone():
    layer = gk.layers.PixelCoordinates(max_shift=50, seed=0)
    images = np.zeros((1, 3, 3, 1), "float32")
    still = to_numpy(layer(images))
    np.testing.assert_array_equal(to_numpy(layer(images)), still)
    moved = to_numpy(layer(images, training=True))
    assert np.abs(moved - still).max() > 0.1
    layer.trainable = False
    np.testing.assert_array_equal(to_numpy(layer(images, training=True)), still)


@pytest.mark.parametrize(
    ("size", "anchor", "expected"),
    [
        (3, "centre", [(0, 1), (1, -1), (1, 0), (1, 1)]),
        (2, "corner", [(0, 1), (1, 0), (1, 1)]),
        (
            3,
            "corner",
            [(0, 1), (0, 2), *((r, c) for r in (1, 2) for c in range(3))],
        ),
    ],
)
def test_windows_are_what_is_unseen_in_raster_order(size, anchor, expected):
    offsets = pixels.window_offsets(size, anchor)
    assert [tuple(o) for o in offsets.tolist()] == expected
    mirrored = pixels.window_offsets(size, anchor, "backward")
    np.testing.assert_array_equal(mirrored, -offsets)


def test_window_indices_stay_inside_the_image():
    offsets = pixels.window_offsets(3, "centre")
    indices, inside = pixels.window_indices(np.arange(6), offsets, 2, 3)
    assert to_numpy(indices).tolist() == [
        [1, 0, 3, 4],
        [2, 3, 4, 5],
        [0, 4, 5, 0],
        [4, 0, 0, 0],
        [5, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert to_numpy(inside).tolist() == [
        [True, False, True, True],
        [True, True, True, True],
        [False, True, True, False],
        [True, False, False, False],
        [True, False, False, False],
        [False, False, False, False],
    ]


def decoder_inputs(seed=1):
    rng = np.random.default_rng(seed)
    return {
        "features": rng.normal(size=(3, 28, 6)).astype("float32"),
        "images": IMAGES.astype("int32"),
        "table": rng.normal(size=(3, 256, 6)).astype("float32") / 3,
    }


@pytest.mark.slow
def test_decoder_does_what_layers_do(tmp_path):
    run_layer_test(
        gk.layers.PixelWindowDecoder,
        {
            "window_size": 2,
            "anchor": "corner",
            "num_layers": 1,
            "channel_order": "bgr",
        },
        decoder_inputs(),
        tmp_path,
        output_shape=(3, 28, 3, 3, 256),
        num_weights=3 + 3 * 4 + 1,
        float32_outputs=True,
    )


@pytest.mark.parametrize("order", ["rgb", "bgr", "grb"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_logits_equal_the_formula(order, direction):
    inputs = decoder_inputs()
    layer = gk.layers.PixelWindowDecoder(
        channel_order=order, direction=direction
    )
    positions = np.array([9, 3, 20])
    taken = {**inputs, "features": inputs["features"][:, positions]}
    layer(**taken, positions=positions)
    rng = np.random.default_rng(3)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 3)
    found = to_numpy(layer(**taken, positions=positions))
    sign = 1 if direction == "forward" else -1
    offsets = [(0, 1), (1, -1), (1, 0), (1, 1)]
    for n, position in enumerate(positions):
        state, before = taken["features"][0, n], np.zeros(6)
        for d, (r, c) in enumerate(offsets):
            row, column = position // 7 + sign * r, position % 7 + sign * c
            state = gru_step(layer.cells[0], before, state)
            inside = 0 <= row < 4 and 0 <= column < 7
            known = np.zeros(6)
            for i, channel in enumerate(order):
                index = "rgb".index(channel)
                x = state if i == 0 else np.concatenate([state, known])
                logits = channel_logits(layer, channel, state, x, inputs)
                np.testing.assert_allclose(
                    found[0, n, d, index], logits, atol=1e-4
                )
                if inside:
                    value = IMAGES[0, row, column, index]
                    known = known + inputs["table"][index, value]
            before = known


def gru_step(cell, x, state):
    kernel, recurrent, bias = (to_numpy(w) for w in cell.weights)
    x = np.split(x @ kernel + bias[0], 3)
    h = np.split(state @ recurrent + bias[1], 3)
    update = 1 / (1 + np.exp(-x[0] - h[0]))
    reset = 1 / (1 + np.exp(-x[1] - h[1]))
    return update * state + (1 - update) * np.tanh(x[2] + reset * h[2])


def channel_logits(layer, channel, state, x, inputs):
    index = "rgb".index(channel)
    hidden = [to_numpy(w) for w in layer.hidden_dense[channel].weights]
    output = [to_numpy(w) for w in layer.output_dense[channel].weights]
    y = np.maximum(x @ hidden[0] + hidden[1], 0) @ output[0] + output[1]
    bias = to_numpy(layer.bias)[index]
    return (state + y) @ inputs["table"][index].T + bias


@pytest.mark.parametrize(
    ("layer", "kwargs", "message"),
    [
        ("PixelEmbedding", {"units": 5}, "at least 6.*Received: units=5"),
        ("PixelCoordinates", {"wave_lengths": (4, 0)}, "positive numbers"),
        ("PixelCoordinates", {"max_shift": -1}, "Received: max_shift=-1"),
        ("PixelWindowDecoder", {"window_size": 4}, "odd for anchor='centre'"),
        ("PixelWindowDecoder", {"window_size": 1}, "above 1"),
        ("PixelWindowDecoder", {"anchor": "middle"}, "Received: anchor="),
        ("PixelWindowDecoder", {"channel_order": "rgg"}, "once each"),
    ],
)
def test_wrong_arguments_are_named(layer, kwargs, message):
    with pytest.raises(ValueError, match=message):
        getattr(gk.layers, layer)(**kwargs)


def test_decoder_refuses_images_of_floats():
    inputs = decoder_inputs()
    inputs["images"] = (IMAGES / 255).astype("float32")
    with pytest.raises(ValueError, match="integer dtype.*float32"):
        gk.layers.PixelWindowDecoder()(**inputs)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="three channels.*Received"):
        gk.layers.PixelEmbedding(6)(np.zeros((1, 4, 4, 1), "uint8"))
    with pytest.raises(ValueError, match="same width.*Received"):
        gk.layers.PixelWindowDecoder()(
            keras.ops.ones((1, 28, 6)), IMAGES, keras.ops.ones((3, 256, 7))
        )
