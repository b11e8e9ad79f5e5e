import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.equations import mix_graphs
from glomo_keras.ops.equations import num_terms
from glomo_keras.ops.gather import gather_features
from glomo_keras.ops.gather import gather_mixed_heads
from glomo_keras.ops.gather import gather_mixture
from glomo_keras.ops.gather import gather_terms
from glomo_keras.ops.gather import join_heads
from glomo_keras.ops.gather import split_heads
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import KEYS
from glomo_keras.ops.streaming import DIRECT_LIMIT
from glomo_keras.ops.streaming import materialize
from tests import reference
from tests.backends import BACKEND
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features

TOLERANCE = 1e-5
GRADIENT = 1e-4  # relative to the largest entry of an array
LONG = DIRECT_LIMIT + 18  # goes by blocks of rows
LENGTHS = (7, LONG)


def graph_and_features(length, direction="forward", layers=3, seed=0):
    """Factors, the graph of the formula, and features of 2 heads' width."""
    made = factors(layers, 2, length, 3, seed=seed, direction=direction)
    if length == LONG:
        made["padding_mask"][1, LONG - 90 :] = False
    return made, reference.graph(made), features(4, length)


def mixture_logits(n, conditioned, include_products, length, layers=3):
    terms = num_terms(layers, 2, include_products)
    shape = (2, length, n, terms) if conditioned else (n, terms)
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def test_heads_are_slices():
    x = features()
    parts = split_heads(ops.convert_to_tensor(x), 4)
    np.testing.assert_array_equal(to_numpy(parts)[:, 2], x[..., 4:6])
    np.testing.assert_array_equal(to_numpy(join_heads(parts)), x)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_features_gathered_equal_the_formula(direction, length):
    made, graph, x = graph_and_features(length, direction, layers=None)
    expected = reference.weighted_sum(graph, x.astype("float64"))
    positions = np.array([5, 0, 5])
    for form in (made, graph.astype("float32")):
        form, values = to_tensors([form, x])
        total = to_numpy(gather_features(form, values))
        np.testing.assert_allclose(total, expected, atol=TOLERANCE)
        some = gather_features(form, values, ops.convert_to_tensor(positions))
        np.testing.assert_allclose(
            to_numpy(some), expected[:, positions], atol=TOLERANCE
        )


def test_a_graph_of_some_rows_gives_the_sums_of_these():
    made, graph, x = graph_and_features(7, layers=None)
    rows = [5, 0, 5]
    expected = reference.weighted_sum(graph, x.astype("float64"))[:, rows]
    weights = np.array([0.2, 0.7], "float32")
    mixed = np.einsum("k,bkts,bsd->btd", weights, graph, x)[:, rows]
    some = {**made, "positions": np.array(rows)}
    for name in ("queries", "thresholds"):
        some[name] = made[name][:, :, rows]
    for form in (some, graph[:, :, rows].astype("float32")):
        given = to_tensors([form, x])
        total = gather_features(*given)
        np.testing.assert_allclose(to_numpy(total), expected, atol=TOLERANCE)
        total = gather_mixed_heads(*given, ops.convert_to_tensor(weights))
        np.testing.assert_allclose(to_numpy(total), mixed, atol=TOLERANCE)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_heads_mixed_equal_the_formula(direction, length):
    made, graph, x = graph_and_features(length, direction, layers=None)
    weights = np.array([0.2, 0.7], "float32")
    expected = np.einsum(
        "k,bkts,bsd->btd", weights, graph, x.astype("float64"), optimize=True
    )
    positions = np.array([5, 0, 5])
    for form in (made, graph.astype("float32")):
        given = to_tensors([form, x, weights])
        total = to_numpy(gather_mixed_heads(*given))
        np.testing.assert_allclose(total, expected, atol=TOLERANCE)
        some = gather_mixed_heads(*given, ops.convert_to_tensor(positions))
        np.testing.assert_allclose(
            to_numpy(some), expected[:, positions], atol=TOLERANCE
        )


@pytest.mark.parametrize(
    ("length", "n", "direction"),
    [
        (7, 1, "forward"),
        (37, 3, "backward"),  # by strips, without products
        pytest.param(LONG, 2, "backward", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("conditioned", [True, False])
def test_mixture_gathered_equals_the_formula(
    length, n, direction, include_products, conditioned
):
    made, graph, x = graph_and_features(length, direction)
    logits = mixture_logits(n, conditioned, include_products, length)
    expected = reference.mix(graph, logits, include_products) @ x[:, None]
    weights = ops.softmax(ops.convert_to_tensor(logits))
    for form in (made, graph.astype("float32")):
        form, values = to_tensors([form, x])
        result = gather_mixture(form, values, weights, include_products)
        np.testing.assert_allclose(to_numpy(result), expected, atol=TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("length", [0, 1, 9])
def test_the_shortest_texts_are_mixed_by_strips(length, direction):
    made = factors(2, 2, length, 3, mask=False, direction=direction)
    x = np.ones((2, length, 4), "float32")
    weights = ops.full((1, 4), 0.25)
    graph = mix_graphs(materialize(to_tensors(made)), weights, False)
    expected = to_numpy(graph) @ x[:, None]
    mixed = gather_mixture(*to_tensors([made, x]), weights, False)
    np.testing.assert_allclose(to_numpy(mixed), expected, atol=TOLERANCE)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX's symbolic dimensions")
def test_a_symbolic_length_is_exported():
    from jax import export
    from jax import jit

    made, graph, x = graph_and_features(7, layers=2)
    del made["padding_mask"]
    weights = ops.full((1, 4), 0.25)
    scope = export.SymbolicScope()
    (made, x) = to_tensors((made, x))
    shapes = export.symbolic_args_specs(
        (made, x),
        (
            {
                "queries": "_, _, _, T, _",
                "past_keys": "_, _, _, T, _",
                "thresholds": "_, _, _, T",
            },
            "_, T, _",
        ),
        scope=scope,
    )
    exported = export.export(
        jit(lambda *args: gather_mixture(*args, weights, False, max_length=9))
    )(*shapes)
    np.testing.assert_allclose(
        to_numpy(exported.call(made, x)),
        to_numpy(gather_mixture(made, x, weights, False)),
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("include_products", [True, False])
def test_a_single_layer_is_mixed_whether_products_count_or_not(
    include_products,
):
    made, graph, x = graph_and_features(70, layers=1)
    logits = mixture_logits(1, False, include_products, 70, layers=1)
    expected = reference.mix(graph, logits) @ x[:, None]
    weights = ops.softmax(ops.convert_to_tensor(logits))
    result = gather_mixture(*to_tensors([made, x]), weights, include_products)
    np.testing.assert_allclose(to_numpy(result), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "direction", ["forward", pytest.param("backward", marks=pytest.mark.slow)]
)
def test_gradients_in_blocks_equal_those_of_the_graph(direction):
    made, _, x = graph_and_features(LONG, direction, layers=2, seed=3)
    logits = mixture_logits(2, True, True, LONG, layers=2)
    names = ("queries", KEYS[direction], "thresholds")
    mask = ops.convert_to_tensor(made["padding_mask"])

    def total(through_graph, features, logits, *parts):
        graph = dict(zip(names, parts, strict=True))
        graph["padding_mask"] = mask
        weights = ops.softmax(logits)
        if through_graph:
            mixed = mix_graphs(materialize(graph), weights)
            gathered = ops.matmul(mixed, features[:, None])
        else:
            gathered = gather_mixture(graph, features, weights, True)
        return ops.sum(ops.square(gathered))

    arrays = [x, logits, *(made[name] for name in names)]
    results = [
        value_and_gradients(
            lambda *arrays, way=way: total(way, *arrays), arrays
        )
        for way in (True, False)
    ]
    (expected, others), (value, gradients) = results
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE)
    for gradient, other in zip(gradients, others, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(gradient, other, atol=GRADIENT * scale)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("include_products", [True, False])
def test_terms_gathered_equal_the_formula(length, include_products):
    made, graph, x = graph_and_features(length, "backward")
    expected = reference.terms(graph, include_products) @ x[:, None]
    for form in (made, graph.astype("float32")):
        found = gather_terms(*to_tensors([form, x]), include_products)
        np.testing.assert_allclose(to_numpy(found), expected, atol=TOLERANCE)


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize("products", [True, False])
def test_length_unknown_to_a_graph_changes_no_number(products):
    """Short inputs go through M, by strips or not, the longest by blocks."""
    import tensorflow as tf

    logits = mixture_logits(2, False, products, None, layers=2)
    weights = ops.softmax(ops.convert_to_tensor(logits))

    def total_and_gradients(graph, values):
        names = [n for n in graph if n != "padding_mask"]
        floats = [graph[n] for n in names]
        with tf.GradientTape() as tape:
            tape.watch([floats, values])
            gathered = gather_mixture(graph, values, weights, products)
            total = tf.reduce_sum(tf.square(gathered))
        return gathered, tape.gradient(total, [floats, values])

    graph_spec = {
        "queries": tf.TensorSpec((2, 2, 2, None, 3)),
        "past_keys": tf.TensorSpec((2, 2, 2, None, 3)),
        "thresholds": tf.TensorSpec((2, 2, 2, None)),
        "padding_mask": tf.TensorSpec((2, None), "bool"),
    }
    compiled = tf.function(
        total_and_gradients,
        input_signature=[graph_spec, tf.TensorSpec((2, None, 4))],
    )
    for length in (3, 37, LONG):
        made, _, x = graph_and_features(length, layers=2)
        tensors = keras.tree.map_structure(tf.constant, (made, x))
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4),
            compiled(*tensors),
            total_and_gradients(*tensors),
        )
