import numpy as np
import pytest

from glomo_keras.layers import DistanceDecayGraph
from glomo_keras.layers import UniformGraph
from tests.backends import to_numpy
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-6


@pytest.mark.parametrize(
    ("rate", "num_weights"),
    [(None, 2), pytest.param(0.5, 0, marks=pytest.mark.slow)],
)
def test_layer(tmp_path, rate, num_weights):
    shape = (2, 3, 2, 7, 7)
    run_layer_test(
        DistanceDecayGraph,
        {"num_layers": 3, "num_heads": 2, "rate": rate},
        {"padding_mask": padding_mask()},
        tmp_path,
        {"forward_graphs": shape, "backward_graphs": shape},
        num_weights,
    )


@pytest.mark.parametrize("rate", [0.0, 0.3, 40.0])
def test_rows_are_exponentials_of_the_distance(rate):
    mask = padding_mask()
    graphs = to_numpy(DistanceDecayGraph(rate=rate)(mask))
    distance = np.abs(np.arange(7)[:, None] - np.arange(7))
    for direction, allowed in (
        ("forward", np.tri(7, k=-1)),
        ("backward", np.tri(7, k=-1).T),
    ):
        real = allowed * mask[:, :, None] * mask[:, None]
        # From the nearest source on: float32 has no exp(-40 * 6).
        weights = real * np.exp(-rate * (distance - 1.0))
        sums = weights.sum(-1, keepdims=True)
        expected = weights / np.where(sums > 0, sums, 1)
        np.testing.assert_allclose(
            graphs[f"{direction}_graphs"][:, 0, 0], expected, atol=TOLERANCE
        )


def test_rows_after_masked_positions_have_edges():
    mask = np.ones((1, 40), bool)
    mask[0, 1:38] = False
    graphs = to_numpy(DistanceDecayGraph(rate=3.0)(mask))
    for graph in (graphs["forward_graphs"], graphs["backward_graphs"]):
        rows = graph[0, 0, 0].sum(-1)
        assert np.sort(rows[[0, 38, 39]]).tolist() == [0, 1, 1]


def test_rate_of_zero_is_the_uniform_graph():
    uniform = to_numpy(UniformGraph()(padding_mask()))
    decayed = to_numpy(DistanceDecayGraph(rate=0.0)(padding_mask()))
    for name, graph in uniform.items():
        np.testing.assert_allclose(decayed[name], graph, atol=TOLERANCE)


def test_learned_rates_start_spread_over_the_heads():
    layer = DistanceDecayGraph(2, 3)
    layer.build((2, 7))
    for direction in ("forward", "backward"):
        rates = to_numpy(layer.rates(direction))
        middle = np.sqrt(0.02 * 3)
        np.testing.assert_allclose(rates, 2 * [[0.02, middle, 3]], rtol=1e-5)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="rate=-1"):
        DistanceDecayGraph(rate=-1)
    with pytest.raises(ValueError, match="rate=inf"):
        DistanceDecayGraph(rate=np.inf)
    with pytest.raises(ValueError, match="num_heads=0"):
        DistanceDecayGraph(num_heads=0)
    with pytest.raises(ValueError, match=r"each once.*directions=\(\)"):
        DistanceDecayGraph(directions=())


def test_one_direction_has_its_graphs_and_weights_only():
    layer = DistanceDecayGraph(directions=("backward",))
    assert [*layer(np.ones((1, 3), bool))] == ["backward_graphs"]
    assert len(layer.weights) == 1
    assert [*layer.compute_output_shape((1, 3))] == ["backward_graphs"]


def test_no_position_gives_no_edge():
    graphs = to_numpy(DistanceDecayGraph(2, 3)(np.ones((1, 0), bool)))
    assert graphs["forward_graphs"].shape == (1, 2, 3, 0, 0)
