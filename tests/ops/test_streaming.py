import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.equations import ACTIVATIONS
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.ops.graphs import KEYS
from glomo_keras.ops.streaming import DIRECT_LIMIT
from glomo_keras.ops.streaming import materialize
from tests import reference
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors

TOLERANCE = 1e-5
ROW_SUM = 1e-6
LONG = DIRECT_LIMIT + 18


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_graph_equals_the_formula(activation, direction, masked):
    made = factors(mask=masked, direction=direction)
    graph = to_numpy(materialize(to_tensors(made), activation))
    expected = reference.graph(made, activation)
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)
    sums = graph.sum(-1)
    assert np.all((np.abs(sums - 1) < ROW_SUM) | (sums == 0))
    allowed = reference.admissible(7, direction, made.get("padding_mask"))
    assert np.all(
        graph[~np.broadcast_to(allowed[:, None, None], graph.shape)] == 0
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("layers", [None, 2])
def test_a_long_graph_in_strips_equals_the_formula(direction, layers):
    made = factors(layers, 2, LONG, 3, direction=direction)
    made["padding_mask"][1, LONG - 90 :] = False
    graph = to_numpy(materialize(to_tensors(made)))
    np.testing.assert_allclose(graph, reference.graph(made), atol=TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_factors_with_positions_give_these_rows(direction):
    made = factors(layers=None, direction=direction)
    expected = reference.graph(made)[:, :, [5, 0, 5]]
    for name in ("queries", "thresholds"):
        made[name] = made[name][:, :, [5, 0, 5]]
    made["positions"] = np.array([5, 0, 5])
    graph = to_numpy(materialize(to_tensors(made)))
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)


def test_a_materialised_graph_is_only_cast():
    graph = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 5))
    found = to_numpy(materialize(ops.convert_to_tensor(graph, "float16")))
    np.testing.assert_array_equal(found, graph.astype("float16"))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("length", [1, 7])
def test_gradient_is_finite_on_empty_rows(activation, length):
    made = factors(length=length)
    mask = np.zeros((2, length), bool)
    mask[0] = True
    made["thresholds"][..., -1] = 1e3  # no score of the last row is positive

    def total(queries, past_keys, thresholds):
        graph = materialize(
            {
                "queries": queries,
                "past_keys": past_keys,
                "thresholds": thresholds,
                "padding_mask": ops.convert_to_tensor(mask),
            },
            activation,
        )
        return ops.sum(ops.square(graph))

    names = ("queries", "past_keys", "thresholds")
    value, gradients = value_and_gradients(total, [made[n] for n in names])
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
        assert np.all(gradient[1] == 0)


@pytest.mark.parametrize("scale", [1e-15, 1e-10, 1e-6, 1e6])
def test_gradient_is_finite_for_scores_far_from_one(scale):
    made = to_tensors(factors(layers=None, mask=False))
    made["thresholds"] = ops.zeros_like(made["thresholds"])

    def total(queries):
        graph = materialize({**made, "queries": queries})
        return ops.sum(ops.square(graph))

    queries = to_numpy(made["queries"])
    value, (gradient,) = value_and_gradients(total, [queries * scale])
    expected, _ = value_and_gradients(total, [queries])
    assert np.all(np.isfinite(gradient))
    if scale >= 1e-6:
        np.testing.assert_allclose(value, expected, rtol=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float16_scores_of_1000_do_not_overflow(activation):
    made = {
        "queries": np.full((1, 1, 3, 1), 50, "float16"),
        "past_keys": np.full((1, 1, 3, 1), 20, "float16"),
        "thresholds": np.zeros((1, 1, 3), "float16"),
    }
    expected = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    graph = to_numpy(materialize(to_tensors(made), activation))
    np.testing.assert_allclose(graph[0, 0], expected, atol=1e-7)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("value", [1e4, 3e38])
def test_what_stands_in_padding_changes_no_entry_and_no_gradient(
    direction, value
):
    made = factors(direction=direction)
    mask, keys = made["padding_mask"], KEYS[direction]
    real = mask[:, None, None, :, None]
    moved = {**made, keys: np.where(real, made[keys], value)}
    moved[keys] = moved[keys].astype("float32")
    moved["queries"] = np.where(real, made["queries"], -value / 2)
    moved["queries"] = moved["queries"].astype("float32")
    names = ("queries", keys, "thresholds")

    def total(*arrays):
        graph = materialize(
            {
                **dict(zip(names, arrays, strict=True)),
                "padding_mask": ops.convert_to_tensor(mask),
            }
        )
        return ops.sum(ops.square(graph))

    results = [
        value_and_gradients(total, [given[name] for name in names])
        for given in (made, moved)
    ]
    assert results[0][0] == results[1][0]
    for expected, found in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(found, expected)
