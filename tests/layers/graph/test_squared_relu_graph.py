import numpy as np
import pytest

from glomo_keras.layers import KeyQueryProjection
from glomo_keras.layers import SquaredReLUGraph
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
ROW_SUM = 1e-6


@pytest.mark.parametrize(
    "layers", [pytest.param(None, marks=pytest.mark.slow), 3]
)
def test_layer(tmp_path, layers):
    run_layer_test(
        SquaredReLUGraph,
        {},
        {"factors": factors(layers, direction="backward")},
        tmp_path,
        (2, 4, 7, 7) if layers is None else (2, 3, 4, 7, 7),
        num_weights=0,
    )


@pytest.mark.parametrize("activation", ["squared_relu", "square", "softmax"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_graph_equals_the_formula(activation, direction):
    made = factors(direction=direction)
    graph = to_numpy(SquaredReLUGraph(activation)(made))
    expected = reference.graph(made, activation)
    np.testing.assert_allclose(graph, expected, atol=TOLERANCE)
    sums = graph.sum(-1)
    assert np.all((np.abs(sums - 1) < ROW_SUM) | (sums == 0))


def test_graph_of_three_positions_by_hand():
    made = {
        "queries": np.ones((1, 1, 1, 3, 1), "float32"),
        "past_keys": np.array([3.0, 2.0, 5.0]).reshape(1, 1, 1, 3, 1),
        "thresholds": np.ones((1, 1, 1, 3), "float32"),
    }
    # Row 2: (3 - 1) ** 2 = 4 and (2 - 1) ** 2 = 1.
    expected = [[0, 0, 0], [1, 0, 0], [0.8, 0.2, 0]]
    graph = to_numpy(SquaredReLUGraph()(made))
    np.testing.assert_allclose(graph[0, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_padding_and_its_amount_change_no_entry(direction):
    projection = KeyQueryProjection(4, 5, 3, direction=direction)
    layer = SquaredReLUGraph()
    keys, queries = features(6), features(6, seed=2)
    graph = to_numpy(layer(projection(keys, queries, padding_mask())))
    keys, queries = (
        np.concatenate([x, np.full((2, 5, 6), 99, "float32")], 1)
        for x in (keys, queries)
    )
    keys[1, 4:7] = -50
    more = to_numpy(layer(projection(keys, queries, padding_mask(12))))
    np.testing.assert_allclose(more[..., :7, :7], graph, atol=1e-6)
    assert np.all(more[..., 7:, :] == 0) and np.all(more[..., 7:] == 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_float16_scores_of_1000_do_not_overflow(policy):
    x = np.full((1, 1, 1, 3, 1), 32, "float32")  # scores of 1024
    made = {"queries": x, "past_keys": x, "thresholds": 0 * x[..., 0]}
    graph = to_numpy(SquaredReLUGraph(dtype=policy)(made))
    expected = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(graph[0, 0, 0], expected)


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="`activation` must be.*Received: "):
        SquaredReLUGraph("relu")


def test_other_inputs_than_factors_are_refused():
    with pytest.raises(ValueError, match="must be the dict of a factored"):
        SquaredReLUGraph()(np.zeros((2, 3, 4, 7, 7), "float32"))
    made = factors()
    del made["past_keys"]
    with pytest.raises(ValueError, match="either 'past_keys'.*Received: "):
        SquaredReLUGraph()(made)
