import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.ops import mixture
from glomo_keras.ops import row_blocks
from glomo_keras.ops.edges import ACTIVATIONS
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.graphs import materialize
from glomo_keras.ops.mixture import apply_mixture
from glomo_keras.ops.mixture import mix_graphs
from glomo_keras.ops.mixture import num_terms
from tests import reference
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features

TOLERANCE = 1e-5
NAMES = ("queries", "keys", "thresholds")


@pytest.fixture
def short_blocks(monkeypatch):
    """What else needs more than 512 units, with 7: two blocks a group."""
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 2)
    monkeypatch.setattr(row_blocks, "COLUMN_GROUPS", 2)
    monkeypatch.setattr(row_blocks, "DIRECT_LIMIT", 4)
    monkeypatch.setattr(mixture, "DIRECT_LIMIT", 4)


def mixture_logits(n, conditioned, include_products, layers=3, units=7):
    terms = num_terms(layers, 4, include_products)
    shape = (2, units, n, terms) if conditioned else (n, terms)
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def test_terms_are_counted():
    assert num_terms(3, 8, True) == 40
    assert num_terms(3, 8, False) == 24
    assert num_terms(1, 8, True) == 8


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("conditioned", [True, False])
def test_mixture_equals_the_formula(layers, include_products, conditioned):
    made = factors(layers)
    logits = mixture_logits(3, conditioned, include_products, layers)
    mixed = mix_graphs(
        made,
        ops.softmax(logits),
        include_products,
        direction="forward",
        activation="squared_relu",
    )
    expected = reference.mix(reference.graph(made), logits, include_products)
    np.testing.assert_allclose(to_numpy(mixed), expected, atol=TOLERANCE)


def test_mixture_of_three_units_by_hand():
    chain = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    first = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    graphs = np.array([first, chain], "float32")[None, :, None]
    # Terms G1, G2, G2 G1; row 2 of the product is row 1 of G1.
    weights = np.array([[0.5, 0.25, 0.25]], "float32")
    mixed = to_numpy(
        mix_graphs(
            graphs,
            weights,
            True,
            activation="squared_relu",
            direction="forward",
        )
    )
    expected = [[0, 0, 0], [0.75, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(mixed[0, 0], expected, atol=1e-7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_factored_equals_materialised_in_blocks(
    short_blocks, activation, direction, include_products, conditioned, n
):
    made, values = factors(), features()
    logits = mixture_logits(n, conditioned, include_products)
    options = {"direction": direction, "activation": activation}
    graph = materialize(made, **options)
    results = [
        apply_mixture(
            form, values, ops.softmax(logits), include_products, **options
        )
        for form in (made, graph)
    ]
    expected = reference.mix(
        reference.graph(made, direction, activation), logits, include_products
    )
    expected = expected @ values[:, None].astype("float64")
    for result in results:
        np.testing.assert_allclose(to_numpy(result), expected, atol=TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_in_blocks_equal_those_of_the_whole(direction, monkeypatch):
    made, values = factors(seed=3), features()
    logits = mixture_logits(2, True, True)

    def total(features, logits, *parts):
        graph = {**made, **dict(zip(NAMES, parts, strict=True))}
        drawn = apply_mixture(
            graph,
            features,
            ops.softmax(logits),
            True,
            direction=direction,
            activation="squared_relu",
        )
        return ops.sum(ops.square(drawn))

    arrays = [values, logits, *(made[name] for name in NAMES)]
    expected = value_and_gradients(total, arrays)
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 2)
    monkeypatch.setattr(row_blocks, "DIRECT_LIMIT", 4)
    monkeypatch.setattr(mixture, "DIRECT_LIMIT", 4)
    value, gradients = value_and_gradients(total, arrays)
    np.testing.assert_allclose(value, expected[0], rtol=TOLERANCE)
    for gradient, other in zip(gradients, expected[1], strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(gradient, other, atol=1e-4 * scale)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("conditioned", [True, False])
def test_groups_of_rows_give_the_numbers_of_the_whole(
    layers, direction, conditioned
):
    units = 70  # four groups that differ in length
    made = factors(layers, units=units)
    made["padding_mask"][1, 40:] = False
    values, products = features(units=units), layers == 1
    logits = mixture_logits(2, conditioned, products, layers, units)
    options = {"direction": direction, "activation": "squared_relu"}
    shares = ops.softmax(logits)
    result = apply_mixture(made, values, shares, products, **options)
    mixed = reference.mix(reference.graph(made, direction), logits, products)
    np.testing.assert_allclose(
        to_numpy(result), mixed @ values[:, None], atol=TOLERANCE
    )


def test_a_single_layer_is_mixed_whether_products_count_or_not(monkeypatch):
    # It once went head by head: K products with the features, not one.
    def refuse(*args, **options):
        raise AssertionError("layer by layer")

    monkeypatch.setattr(mixture, "_apply_by_layer", refuse)
    made, values = factors(1, units=70), features(4, units=70)
    shares = np.full((1, 4), 0.25, "float32")
    options = {"direction": "forward", "activation": "squared_relu"}
    drawn = [
        to_numpy(apply_mixture(made, values, shares, products, **options))
        for products in (True, False)
    ]
    np.testing.assert_allclose(*drawn, atol=TOLERANCE)


def test_beyond_the_limit_numbers_are_the_same():
    units = 530
    made = factors(2, 2, units, 3, batch=1, mask=False)
    values = features(4, units, batch=1)
    weights = np.full((1, num_terms(2, 2, True)), 1 / 6, "float32")
    options = {"direction": "backward", "activation": "squared_relu"}
    result = to_numpy(apply_mixture(made, values, weights, True, **options))
    mixed = to_numpy(mix_graphs(made, weights, True, **options))
    np.testing.assert_allclose(result, mixed @ values[:, None], atol=TOLERANCE)


@needs_tensorflow
@pytest.mark.parametrize("units", [3, 7])
@pytest.mark.parametrize("products", [True, False])
def test_length_unknown_to_a_graph_changes_no_number(
    short_blocks, units, products
):
    import tensorflow as tf

    made = factors(layers=2, units=units, mask=False)
    values = features(units=units)
    weights = to_numpy(
        ops.softmax(mixture_logits(2, False, products, layers=2))
    )
    options = {"direction": "forward", "activation": "squared_relu"}

    def total_and_gradients(graph, values):
        with tf.GradientTape() as tape:
            tape.watch([graph, values])
            drawn = apply_mixture(graph, values, weights, products, **options)
            total = tf.reduce_sum(tf.square(drawn))
        return drawn, tape.gradient(total, [graph, values])

    specs = keras.tree.map_structure(
        lambda x: tf.TensorSpec(
            [None if n == units else n for n in x.shape], x.dtype
        ),
        (made, values),
    )
    tensors = keras.tree.map_structure(tf.constant, (made, values))
    compiled = tf.function(total_and_gradients, input_signature=specs)
    expected = total_and_gradients(*tensors)
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4),
        compiled(*tensors),
        expected,
    )
