import json

import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import SquaredReLUGraph
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
ROW_SUM = 1e-6
OPTIONS = {"num_heads": 4, "key_dim": 5, "num_graph_layers": 3}
SHAPE = (2, 3, 4, 7, 7)


def keys_and_queries():
    return {"keys": features(6), "queries": features(6, seed=2)}


@pytest.mark.parametrize("factored", [False, True])
def test_layer(tmp_path, factored):
    shape = SHAPE
    if factored:
        shape = {
            "queries": (2, 3, 4, 7, 5),
            "keys": (2, 3, 4, 7, 5),
            "thresholds": (2, 3, 4, 7),
        }
    run_layer_test(
        SquaredReLUGraph,
        {**OPTIONS, "threshold": "query", "direction": "backward"},
        keys_and_queries(),
        tmp_path,
        shape,
        num_weights=6,
        call_kwargs={"factored": True} if factored else None,
    )


def reference_graph(layer, inputs, mask):
    """From the weights of the layer, one graph layer after the other."""
    graphs = []
    weights = {w.name: to_numpy(w).astype("float64") for w in layer.weights}
    size = layer.num_heads * layer.key_dim
    for index in range(layer.num_graph_layers):
        part = slice(index * size, (index + 1) * size)
        heads = {}
        for name, x in (("key", "keys"), ("query", "queries")):
            projected = inputs[x] @ weights[f"{name}_kernel"][:, part]
            projected = projected.reshape(2, 7, layer.num_heads, -1)
            projected = projected + weights[f"{name}_bias"][index]
            heads[x] = projected.transpose(0, 2, 1, 3)
        thresholds = np.zeros(heads["queries"].shape[:-1])
        if layer.threshold == "query":
            thresholds = heads["queries"] @ weights["threshold_kernel"][index]
        heads["thresholds"] = thresholds + weights["threshold_bias"][index]
        heads["padding_mask"] = mask
        graphs.append(reference.graph(heads, layer.direction, layer.activation))
    return np.stack(graphs, 1)


def randomised(layer, *shapes):
    """The layer built, with no weight left at zero."""
    layer.build(*shapes)
    rng = np.random.default_rng(3)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 2)
    return layer


@pytest.mark.parametrize("threshold", ["query", "scalar"])
@pytest.mark.parametrize("activation", ["squared_relu", "square", "softmax"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_graph_equals_the_formula(threshold, activation, direction):
    layer = randomised(
        SquaredReLUGraph(
            **OPTIONS,
            threshold=threshold,
            activation=activation,
            direction=direction,
        ),
        (2, 7, 6),
        (2, 7, 6),
    )
    inputs = keys_and_queries()
    graph = to_numpy(layer(**inputs, padding_mask=padding_mask()))
    expected = reference_graph(layer, inputs, padding_mask())
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)
    sums = graph.sum(-1)
    assert np.all((np.abs(sums - 1) < ROW_SUM) | (sums == 0))


def test_graph_of_three_units_by_hand():
    layer = SquaredReLUGraph(1, 1, threshold="scalar")
    layer.build((1, 3, 1), (1, 3, 1))
    for weight in layer.weights:
        weight.assign(np.ones(weight.shape) * ("kernel" in weight.name))
    layer.threshold_bias.assign([1.0])
    keys = np.array([3.0, 2.0, 5.0], "float32").reshape(1, 3, 1)
    graph = to_numpy(layer(keys, np.ones_like(keys)))
    # Row 2: (3 - 1) ** 2 = 4 and (2 - 1) ** 2 = 1.
    expected = [[0, 0, 0], [1, 0, 0], [0.8, 0.2, 0]]
    np.testing.assert_allclose(graph[0, 0, 0], expected, atol=1e-6)


def test_mask_as_argument_and_as_keras_mask_is_the_same():
    layer = SquaredReLUGraph(**OPTIONS)
    inputs = keys_and_queries()
    inputs["keys"] = inputs["keys"] * padding_mask()[..., None]
    explicit = layer(**inputs, padding_mask=padding_mask())
    inputs["keys"] = keras.layers.Masking()(inputs["keys"])
    np.testing.assert_array_equal(to_numpy(layer(**inputs)), to_numpy(explicit))
    factors = layer(**inputs, factored=True)
    np.testing.assert_array_equal(
        to_numpy(factors["padding_mask"]), padding_mask()
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_padding_and_its_amount_change_no_entry(direction):
    layer = SquaredReLUGraph(**OPTIONS, direction=direction)
    inputs = keys_and_queries()
    graph = to_numpy(layer(**inputs, padding_mask=padding_mask()))
    longer = {
        name: np.concatenate([x, np.full((2, 5, 6), 99, "float32")], 1)
        for name, x in inputs.items()
    }
    longer["keys"][1, 4:7] = -50
    more = to_numpy(layer(**longer, padding_mask=padding_mask(12)))
    np.testing.assert_allclose(more[..., :7, :7], graph, atol=1e-6)
    assert np.all(more[..., 7:, :] == 0) and np.all(more[..., 7:] == 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_float16_scores_of_1000_do_not_overflow(policy):
    layer = SquaredReLUGraph(1, 1, threshold="scalar", dtype=policy)
    layer.build((1, 3, 1), (1, 3, 1))
    for weight in layer.weights:
        weight.assign(np.ones(weight.shape) * ("kernel" in weight.name))
    x = np.full((1, 3, 1), 32, "float32")  # scores of 1024
    graph = to_numpy(layer(x, x))
    expected = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(graph[0, 0, 0], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be a positive integer"),
        ({"key_dim": 1.5}, "`key_dim` must be a positive integer"),
        ({"threshold": "none"}, "`threshold` must be one of"),
        ({"activation": "relu"}, "`activation` must be one of"),
        ({"direction": "up"}, "`direction` must be one of"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        SquaredReLUGraph(**{**OPTIONS, **options})


@pytest.mark.parametrize(
    ("keys", "queries", "message"),
    [
        ((2, 7), (2, 7, 6), "`keys` must have shape"),
        ((2, 7, 6), (2, 7, 6, 1), "`queries` must have shape"),
        ((2, 7, 6), (2, 8, 6), "same number of units T"),
    ],
)
def test_wrong_shapes_are_refused(keys, queries, message):
    layer = SquaredReLUGraph(**OPTIONS)
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        layer(np.zeros(keys, "float32"), np.zeros(queries, "float32"))
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        layer.compute_output_shape(keys, queries)


def test_mask_of_another_length_is_refused():
    layer = SquaredReLUGraph(**OPTIONS)
    with pytest.raises(ValueError, match="T=8 in padding_mask"):
        layer(**keys_and_queries(), padding_mask=np.ones((2, 8), bool))


@pytest.mark.parametrize("threshold", ["query", "scalar"])
def test_layers_of_are_the_layers_of_the_factors(threshold):
    rng = np.random.default_rng(0)
    keys, queries = rng.normal(size=(2, 2, 7, 4)).astype("float32")
    mask = np.arange(7) < np.array([[7], [5]])
    layer = SquaredReLUGraph(
        num_heads=3, key_dim=4, num_graph_layers=3, threshold=threshold
    )
    factors = layer(keys, queries, mask, factored=True)
    for weight in layer.weights:  # biases start at zero
        weight.assign(rng.normal(size=weight.shape))
    factors = layer(keys, queries, mask, factored=True)
    positions = np.array([5, 0, 5], "int32")
    layers = layer.layers_of(
        ops.convert_to_tensor(keys),
        ops.convert_to_tensor(queries),
        ops.convert_to_tensor(mask),
        ops.convert_to_tensor(positions),
    )
    assert len(layers) == 3
    for index, one in enumerate(layers):
        rows = positions if index == 2 else np.arange(7)
        for name, axis in (("queries", -2), ("thresholds", -1), ("keys", None)):
            expected = ops.convert_to_numpy(factors[name][:, index])
            if axis is not None:
                expected = np.take(expected, rows, axis)
            value = ops.convert_to_numpy(one[name])
            np.testing.assert_allclose(value, expected, atol=1e-5)
        assert ("positions" in one) == (index == 2)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(one["padding_mask"]), mask
        )


def test_any_callable_initializes():
    def initialize(shape, dtype=None):
        return ops.full(shape, 0.5, dtype)

    layer = SquaredReLUGraph(2, 3, kernel_initializer=initialize)
    layer.build((2, 7, 8), (2, 7, 8))
    for weight in (
        layer.key_kernel,
        layer.query_kernel,
        layer.threshold_kernel,
    ):
        assert np.all(to_numpy(weight) == 0.5)


def test_numpy_sizes_are_those_of_python():
    layer = SquaredReLUGraph(np.int64(2), np.int32(3))
    assert layer(**keys_and_queries()).shape == (2, 1, 2, 7, 7)
    config = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(config))
    assert again.get_config() == layer.get_config()
