import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.edges import ACTIVATIONS
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.edges import admissible_edges
from glomo_keras.ops.edges import edge_statistics
from glomo_keras.ops.edges import edge_weights
from glomo_keras.ops.edges import normalize_rows
from glomo_keras.ops.graphs import materialize
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import padding_mask

TOLERANCE = 1e-5
ROW_SUM = 1e-6


def graph_of(made, direction="forward", activation="squared_relu"):
    return to_numpy(
        materialize(made, direction=direction, activation=activation)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_admissible_edges_are_real_and_on_one_side(direction, masked):
    mask = padding_mask() if masked else None
    allowed = admissible_edges(np.arange(7), np.arange(7), direction, mask)
    expected = reference.admissible(7, direction, mask)
    expected = expected[:, None] if masked else expected[0]
    np.testing.assert_array_equal(to_numpy(allowed), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_graph_equals_the_formula(activation, direction, masked):
    made = factors(mask=masked)
    graph = graph_of(made, direction, activation)
    expected = reference.graph(made, direction, activation)
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)
    sums = graph.sum(-1)
    assert np.all((np.abs(sums - 1) < ROW_SUM) | (sums == 0))
    allowed = reference.admissible(7, direction, made.get("padding_mask"))
    assert np.all(
        graph[~np.broadcast_to(allowed[:, None, None], graph.shape)] == 0
    )


def test_graph_of_three_units_by_hand():
    made = {
        "queries": np.array([1.0, 2.0, 1.0]).reshape(1, 1, 3, 1),
        "keys": np.array([3.0, 2.0, 9.0]).reshape(1, 1, 3, 1),
        "thresholds": np.array([0.0, 1.0, 1.0]).reshape(1, 1, 3),
    }
    # Row 2: scores 3 and 2, less the threshold 2 and 1, squared 4 and 1.
    expected = [[0, 0, 0], [1, 0, 0], [0.8, 0.2, 0]]
    np.testing.assert_allclose(graph_of(made)[0, 0], expected, atol=1e-7)
    # Backward, row 0: 2 and 9, squared 4 and 81; row 1: 18 - 1.
    expected = [[0, 4 / 85, 81 / 85], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(
        graph_of(made, "backward")[0, 0], expected, atol=1e-7
    )
    made["thresholds"] = made["thresholds"] + 2.5
    # Row 2: 3 - 3.5 and 2 - 3.5 are below the threshold.
    expected = [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(graph_of(made)[0, 0], expected, atol=1e-7)
    expected = [[0, 0, 0], [1, 0, 0], [0.1, 0.9, 0]]
    np.testing.assert_allclose(
        graph_of(made, activation="square")[0, 0], expected, atol=1e-7
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("units", [1, 7])
def test_gradient_is_finite_on_empty_rows(activation, units):
    made = factors(units=units)
    mask = np.zeros((2, units), bool)
    mask[0] = True
    made["thresholds"][..., -1] = 1e3  # no score of the last row is positive

    def total(queries, keys, thresholds):
        graph = materialize(
            {
                "queries": queries,
                "keys": keys,
                "thresholds": thresholds,
                "padding_mask": mask,
            },
            direction="forward",
            activation=activation,
        )
        return ops.sum(ops.square(graph))

    names = ("queries", "keys", "thresholds")
    value, gradients = value_and_gradients(total, [made[n] for n in names])
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient[1] == 0)


@pytest.mark.parametrize("scale", [1e-15, 1e-10, 1e-6, 1e6])
def test_gradient_is_finite_for_scores_far_from_one(scale):
    made = factors(layers=None, mask=False)

    def total(queries):
        graph = materialize(
            {**made, "queries": queries, "thresholds": 0 * made["thresholds"]},
            direction="forward",
            activation="squared_relu",
        )
        return ops.sum(ops.square(graph))

    value, (gradient,) = value_and_gradients(total, [made["queries"] * scale])
    expected, _ = value_and_gradients(total, [made["queries"]])
    assert np.all(np.isfinite(gradient))
    if scale >= 1e-6:
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_float16_scores_of_1000_do_not_overflow():
    made = {
        "queries": np.full((1, 1, 3, 1), 50, "float16"),
        "keys": np.full((1, 1, 3, 1), 20, "float16"),
        "thresholds": np.zeros((1, 1, 3), "float16"),
    }
    expected = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    for activation in ACTIVATIONS:
        graph = graph_of(made, activation=activation)
        np.testing.assert_allclose(graph[0, 0], expected, atol=1e-7)


def test_what_stands_in_padding_changes_no_entry():
    made = factors()
    other = factors(seed=5)
    mask = made["padding_mask"]
    moved = {"padding_mask": mask}
    for name in ("queries", "keys", "thresholds"):
        real = mask[:, None, None, :]
        real = real[..., None] if made[name].ndim == 5 else real
        moved[name] = np.where(real, made[name], 1e4 * other[name])
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(
            graph_of(made, direction), graph_of(moved, direction)
        )


def test_empty_rows_stay_zero():
    weights = np.array([[0.0, 0.0], [1.0, 3.0]], "float32")
    np.testing.assert_array_equal(
        to_numpy(normalize_rows(weights)), [[0, 0], [0.25, 0.75]]
    )


def test_edge_statistics_of_three_units_by_hand():
    allowed = admissible_edges(np.arange(3), np.arange(3), "forward")
    weights = np.zeros((1, 2, 3, 3), "float32")
    weights[0, 0, 1, 0] = 1  # head 0 has one edge of three, one empty row
    weights[0, 1, 2] = 0.5, 0.5, 0  # head 1 two, one empty row
    density, empty = edge_statistics(weights, allowed)
    np.testing.assert_allclose([float(density), float(empty)], [0.5, 0.5])
    nothing = edge_statistics(weights * 0, np.zeros((3, 3), bool))
    assert [float(x) for x in nothing] == [0, 0]


def test_weights_that_are_not_admissible_are_zero():
    made = factors(layers=None)
    weights = edge_weights(
        made["queries"],
        made["keys"],
        made["thresholds"],
        np.zeros((7, 7), bool),
        "softmax",
    )
    assert np.all(to_numpy(weights) == 0)
