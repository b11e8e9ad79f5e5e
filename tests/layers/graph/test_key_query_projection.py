import json

import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import KeyQueryProjection
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.layers.graph_inputs import KEYS
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
OPTIONS = {"num_heads": 4, "key_dim": 5, "num_graph_layers": 3}


def keys_and_queries():
    return {"keys": features(6), "queries": features(6, seed=2)}


@pytest.mark.parametrize(
    ("threshold", "direction", "num_weights"),
    [
        ("query", "backward", 6),
        pytest.param("scalar", "forward", 5, marks=pytest.mark.slow),
    ],
)
def test_layer(tmp_path, threshold, direction, num_weights):
    run_layer_test(
        KeyQueryProjection,
        {**OPTIONS, "threshold": threshold, "direction": direction},
        keys_and_queries(),
        tmp_path,
        {
            "queries": (2, 3, 4, 7, 5),
            KEYS[direction]: (2, 3, 4, 7, 5),
            "thresholds": (2, 3, 4, 7),
        },
        num_weights,
    )


def randomised(layer):
    """The layer built, with no weight left at zero."""
    layer.build((2, 7, 6), (2, 7, 6))
    rng = np.random.default_rng(3)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 2)
    return layer


def expected_factors(layer, inputs):
    """From the weights of the layer, one graph layer after the other."""
    weights = {w.name: to_numpy(w).astype("float64") for w in layer.weights}
    size = layer.num_heads * layer.key_dim
    made = {"key": [], "query": [], "threshold": []}
    for index in range(layer.num_graph_layers):
        part = slice(index * size, (index + 1) * size)
        for name, x in (("key", "keys"), ("query", "queries")):
            projected = inputs[x] @ weights[f"{name}_kernel"][:, part]
            projected = projected.reshape(2, 7, layer.num_heads, -1)
            projected = projected + weights[f"{name}_bias"][index]
            made[name].append(projected.transpose(0, 2, 1, 3))
        thresholds = np.zeros((2, layer.num_heads, 7))
        if layer.threshold == "query":
            kernel = weights["threshold_kernel"][index]
            thresholds = made["query"][-1] @ kernel
        thresholds = thresholds + weights["threshold_bias"][index]
        made["threshold"].append(thresholds)
    return {
        KEYS[layer.direction]: np.stack(made["key"], 1),
        "queries": np.stack(made["query"], 1),
        "thresholds": np.stack(made["threshold"], 1),
    }


@pytest.mark.parametrize("threshold", ["query", "scalar"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_factors_equal_the_formula(threshold, direction):
    layer = randomised(
        KeyQueryProjection(**OPTIONS, threshold=threshold, direction=direction)
    )
    inputs = keys_and_queries()
    factors = layer(**inputs)
    expected = expected_factors(layer, inputs)
    assert set(factors) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(
            to_numpy(factors[name]), values, atol=TOLERANCE
        )


@pytest.mark.parametrize("threshold", ["query", "scalar"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_layer_by_layer_gives_the_layers_of_the_factors(threshold, direction):
    layer = randomised(
        KeyQueryProjection(**OPTIONS, threshold=threshold, direction=direction)
    )
    inputs = to_tensors({**keys_and_queries(), "padding_mask": padding_mask()})
    whole = to_numpy(layer(**inputs))
    positions = np.array([5, 0, 5], "int32")
    layers = layer.layer_by_layer(
        **inputs, positions=ops.convert_to_tensor(positions)
    )
    assert len(layers) == 3
    for index, one in enumerate(layers):
        rows = positions if index == 2 else np.arange(7)
        expected = {
            "queries": whole["queries"][:, index][:, :, rows],
            "thresholds": whole["thresholds"][:, index][:, :, rows],
            KEYS[direction]: whole[KEYS[direction]][:, index],
            "padding_mask": padding_mask(),
        }
        if index == 2:
            expected["positions"] = positions
        assert set(one) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(
                to_numpy(one[name]), values, atol=TOLERANCE
            )


def test_mask_as_argument_and_as_keras_mask_is_the_same():
    layer = KeyQueryProjection(**OPTIONS)
    inputs = keys_and_queries()
    inputs["keys"] = inputs["keys"] * padding_mask()[..., None]
    explicit = layer(**inputs, padding_mask=padding_mask())
    inputs["keys"] = keras.layers.Masking()(inputs["keys"])
    implicit = layer(**inputs)
    assert set(implicit) == set(explicit)
    for name, values in explicit.items():
        np.testing.assert_array_equal(
            to_numpy(implicit[name]), to_numpy(values)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be a positive integer"),
        ({"key_dim": 1.5}, "`key_dim` must be a positive integer"),
        ({"threshold": "none"}, "`threshold` must be one of"),
        ({"direction": "up"}, "`direction` must be one of"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        KeyQueryProjection(**{**OPTIONS, **options})


@pytest.mark.parametrize(
    ("keys", "queries", "message"),
    [
        ((2, 7), (2, 7, 6), "`keys` must have shape"),
        ((2, 7, 6), (2, 7, 6, 1), "`queries` must have shape"),
        ((2, 7, 6), (2, 8, 6), "same length T"),
    ],
)
def test_wrong_shapes_are_refused(keys, queries, message):
    layer = KeyQueryProjection(**OPTIONS)
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        layer(np.zeros(keys, "float32"), np.zeros(queries, "float32"))
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        layer.compute_output_shape(keys, queries)


def test_mask_of_another_length_is_refused():
    layer = KeyQueryProjection(**OPTIONS)
    with pytest.raises(ValueError, match="T=8 in padding_mask"):
        layer(**keys_and_queries(), padding_mask=np.ones((2, 8), bool))


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = KeyQueryProjection(2, 3, kernel_initializer=initialize)
    layer.build((2, 7, 8), (2, 7, 8))
    for weight in (
        layer.key_kernel,
        layer.query_kernel,
        layer.threshold_kernel,
    ):
        assert np.all(to_numpy(weight) == 0.5)


def test_numpy_sizes_are_those_of_python():
    layer = KeyQueryProjection(np.int64(2), np.int32(3))
    assert layer(**keys_and_queries())["queries"].shape == (2, 1, 2, 7, 3)
    config = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(config))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_rotated_scores_know_the_distance(direction):
    """A head of one key and one query for all sees positions alone."""
    layer = KeyQueryProjection(1, 2, direction=direction, rotary_dim=2)
    layer.build((1, 7, 6), (1, 7, 6))
    layer.key_bias.assign([[[1.0, 0.0]]])
    layer.query_bias.assign([[[1.0, 0.0]]])
    x = np.zeros((1, 7, 6), "float32")
    factors = to_numpy(layer(x, x))
    scores = np.einsum(
        "blktc,blksc->ts", factors["queries"], factors[KEYS[direction]]
    )
    distance = np.arange(7)[:, None] - np.arange(7)
    np.testing.assert_allclose(scores, np.cos(distance), atol=TOLERANCE)


def test_backward_rotation_mirrors_the_forward_one():
    """Read from the end, backward factors give the forward scores."""
    inputs = keys_and_queries()
    scores = []
    for direction in ("forward", "backward"):
        layer = randomised(
            KeyQueryProjection(2, 6, direction=direction, rotary_dim=4)
        )
        step = 1 if direction == "forward" else -1
        factors = to_numpy(
            layer(**{k: x[:, ::step] for k, x in inputs.items()})
        )
        product = factors["queries"] @ factors[KEYS[direction]].swapaxes(-1, -2)
        scores.append(product[..., ::step, ::step])
    np.testing.assert_allclose(*scores, atol=TOLERANCE)


def test_rotation_leaves_thresholds_as_they_are():
    plain = randomised(KeyQueryProjection(**OPTIONS))
    turned = randomised(KeyQueryProjection(**OPTIONS, rotary_dim=4))
    expected, factors = (
        to_numpy(layer(**keys_and_queries())) for layer in (plain, turned)
    )
    np.testing.assert_allclose(factors["thresholds"], expected["thresholds"])


def test_rotated_rows_are_those_of_all_positions():
    layer = randomised(KeyQueryProjection(**OPTIONS, rotary_dim=4))
    inputs = to_tensors(keys_and_queries())
    whole = to_numpy(layer(**inputs))
    positions = np.array([5, 0, 5], "int32")
    *_, last = layer.layer_by_layer(
        **inputs, positions=ops.convert_to_tensor(positions)
    )
    np.testing.assert_allclose(
        to_numpy(last["queries"]),
        whole["queries"][:, 2][:, :, positions],
        atol=TOLERANCE,
    )


@pytest.mark.parametrize(
    "heads",
    [
        [True, False, False, True],
        [[i == j for i in range(4)] for j in range(3)],
    ],
    ids=["each layer", "by layer"],
)
def test_some_heads_are_rotated(heads):
    plain, turned, some = (
        to_numpy(
            randomised(KeyQueryProjection(**options))(**keys_and_queries())
        )
        for options in (
            OPTIONS,
            {**OPTIONS, "rotary_dim": 4},
            {**OPTIONS, "rotary_dim": 4, "rotary_heads": heads},
        )
    )
    chosen = np.broadcast_to(heads, (3, 4))[..., None, None]
    for name in ("queries", "past_keys"):
        expected = np.where(chosen, turned[name], plain[name])
        np.testing.assert_allclose(some[name], expected, atol=TOLERANCE)


def test_layers_with_rotated_heads_are_those_of_all_at_once():
    heads = [[i == j for i in range(4)] for j in range(3)]
    layer = randomised(
        KeyQueryProjection(**OPTIONS, rotary_dim=4, rotary_heads=heads)
    )
    inputs = to_tensors(keys_and_queries())
    whole = to_numpy(layer(**inputs))
    for index, factors in enumerate(layer.layer_by_layer(**inputs)):
        for name, values in to_numpy(factors).items():
            np.testing.assert_allclose(
                values, whole[name][:, index], atol=TOLERANCE
            )


@pytest.mark.parametrize(
    "heads", [[True], [1, 0], [[True, False]] * 2, [[True], [True, False]]]
)
def test_rotary_heads_are_checked(heads):
    with pytest.raises(ValueError, match="2 heads, 3 layers"):
        KeyQueryProjection(2, 4, 3, rotary_dim=2, rotary_heads=heads)


def test_threshold_starts_where_it_is_told():
    layer = KeyQueryProjection(
        2,
        4,
        threshold="scalar",
        threshold_initializer=keras.initializers.Constant(-1.0),
    )
    factors = layer(**keys_and_queries())
    np.testing.assert_array_equal(to_numpy(factors["thresholds"]), -1.0)


@pytest.mark.parametrize("rotary_dim", [3, 6, -2])
def test_rotary_dim_is_checked(rotary_dim):
    with pytest.raises(ValueError, match=f"rotary_dim={rotary_dim}"):
        KeyQueryProjection(2, 4, rotary_dim=rotary_dim)
