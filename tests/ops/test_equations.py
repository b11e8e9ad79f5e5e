import numpy as np
import pytest
from keras import ops

from glomo_keras.ops import equations
from glomo_keras.ops.graphs import DIRECTIONS
from tests import reference
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask

TOLERANCE = 1e-5
EXACT = 1e-7


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_admissible_edges_are_real_and_on_one_side(direction, masked):
    mask = padding_mask() if masked else None
    positions = ops.arange(7)
    allowed = equations.admissible_edges(
        positions,
        positions,
        direction,
        ops.convert_to_tensor(mask) if masked else None,
    )
    expected = reference.admissible(7, direction, mask)
    expected = expected[:, None] if masked else expected[0]
    np.testing.assert_array_equal(to_numpy(allowed), expected)


def graph_by_hand(thresholds, direction="forward", activation="squared_relu"):
    queries, keys, thresholds = to_tensors(
        [
            np.array([[1.0], [2.0], [1.0]]),
            np.array([[3.0], [2.0], [9.0]]),
            np.array(thresholds),
        ]
    )
    positions = ops.arange(3)
    allowed = equations.admissible_edges(positions, positions, direction)
    return to_numpy(
        equations.squared_relu_graph(
            queries, keys, thresholds, allowed, activation
        )
    )


def test_graph_of_three_positions_by_hand():
    # Row 2: scores 3 and 2, less the threshold 2 and 1, squared 4 and 1.
    expected = [[0, 0, 0], [1, 0, 0], [0.8, 0.2, 0]]
    found = graph_by_hand([0.0, 1.0, 1.0])
    np.testing.assert_allclose(found, expected, atol=EXACT)
    # Backward, row 0: 2 and 9, squared 4 and 81; row 1: 18 - 1.
    expected = [[0, 4 / 85, 81 / 85], [0, 0, 1], [0, 0, 0]]
    found = graph_by_hand([0.0, 1.0, 1.0], "backward")
    np.testing.assert_allclose(found, expected, atol=EXACT)
    # Row 2: 3 - 3.5 and 2 - 3.5 are below the threshold.
    expected = [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    found = graph_by_hand([2.5, 3.5, 3.5])
    np.testing.assert_allclose(found, expected, atol=EXACT)
    expected = [[0, 0, 0], [1, 0, 0], [0.1, 0.9, 0]]
    found = graph_by_hand([2.5, 3.5, 3.5], activation="square")
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_weights_that_are_not_admissible_are_zero():
    queries, keys, thresholds, _ = to_tensors(factors(layers=None)).values()
    nowhere = ops.zeros((7, 7), "bool")
    for activation in equations.ACTIVATIONS:
        weights = equations.edge_weights(
            queries, keys, thresholds, nowhere, activation
        )
        assert np.all(to_numpy(weights) == 0)


def test_empty_rows_stay_zero():
    weights = ops.convert_to_tensor([[0.0, 0.0], [1.0, 3.0]])
    np.testing.assert_array_equal(
        to_numpy(equations.normalize_rows(weights)), [[0, 0], [0.25, 0.75]]
    )


def test_gradient_of_normalised_rows_is_finite_for_any_sum():
    def total(weights):
        return ops.sum(ops.square(equations.normalize_rows(weights)))

    weights = np.array([[0, 0], [1e-30, 0], [1e-17, 1e-17], [1e12, 1e12]])
    value, (gradient,) = value_and_gradients(total, [weights])
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_sum_is_the_same_before_and_after_normalisation():
    rng = np.random.default_rng(0)
    weights, values = to_tensors(
        [
            rng.random(size=(2, 4, 7, 7)).astype("float32"),
            rng.normal(size=(2, 4, 7, 3)).astype("float32"),
        ]
    )
    expected = equations.weighted_sum(equations.normalize_rows(weights), values)
    found = equations.weighted_sum(
        weights, values, equations.inverse_row_sums(weights)
    )
    np.testing.assert_allclose(
        to_numpy(found), to_numpy(expected), atol=TOLERANCE
    )


@pytest.mark.parametrize(
    ("direction", "expected", "inside"),
    [
        ("forward", [[1, 2], [3, 3], [3, 3]], [[1, 1], [1, 0], [0, 0]]),
        ("backward", [[0, 0], [1, 0], [2, 1]], [[0, 0], [1, 1], [1, 1]]),
    ],
)
def test_context_positions_by_hand(direction, expected, inside):
    positions = ops.convert_to_tensor(np.array([0, 2, 3]))
    found = equations.context_positions(positions, 2, direction, 4)
    np.testing.assert_array_equal(to_numpy(found[0]), expected)
    np.testing.assert_array_equal(to_numpy(found[1]), inside)


def test_terms_are_counted():
    assert equations.num_terms(3, 8) == 40
    assert equations.num_terms(3, 8, include_products=False) == 24
    assert equations.num_terms(1, 8) == 8


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("conditioned", [True, False])
def test_mixture_equals_the_formula(layers, include_products, n, conditioned):
    graph = reference.graph(factors(layers)).astype("float32")
    terms = equations.num_terms(layers, 4, include_products)
    shape = (2, 7, n, terms) if conditioned else (n, terms)
    logits = np.random.default_rng(2).normal(size=shape).astype("float32")
    mixed = equations.mix_graphs(
        ops.convert_to_tensor(graph),
        ops.softmax(ops.convert_to_tensor(logits)),
        include_products,
    )
    expected = reference.mix(graph, logits, include_products)
    np.testing.assert_allclose(to_numpy(mixed), expected, atol=TOLERANCE)


def test_mixture_of_three_positions_by_hand():
    chain = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    first = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    graphs = np.array([first, chain], "float32")[None, :, None]
    # Terms G1, G2, G2 G1; row 2 of the product is row 1 of G1.
    weights = np.array([[0.5, 0.25, 0.25]], "float32")
    mixed = to_numpy(equations.mix_graphs(*to_tensors([graphs, weights])))
    expected = [[0, 0, 0], [0.75, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(mixed[0, 0], expected, atol=EXACT)


def test_fusion_equals_the_formula():
    h, values, gates = features(3), features(2, seed=2), features(2, seed=3)
    found = equations.gated_fusion(*to_tensors([h, values, gates]))
    gated = values * reference.sigmoid(gates)
    np.testing.assert_allclose(
        to_numpy(found), np.concatenate([h, gated], -1), atol=TOLERANCE
    )
