import json

import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.layers import UniformGraph
from tests.backends import to_numpy

TOLERANCE = 1e-6
MASK = np.array(
    [[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 1]], bool
)


def by_hand(mask, direction):
    """The graph of one mask, one edge after the other, `(T, T)`."""
    graph = np.zeros((len(mask), len(mask)), "float32")
    for t in range(len(mask)):
        others = range(t) if direction == "forward" else range(t + 1, len(mask))
        sources = [s for s in others if mask[s] and mask[t]]
        graph[t, sources] = 1 / max(len(sources), 1)
    return graph


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_graph_equals_numpy(direction):
    graph = to_numpy(UniformGraph()(MASK)[f"{direction}_graphs"])
    assert graph.shape == (4, 1, 1, 5, 5)
    for row, mask in enumerate(MASK):
        np.testing.assert_allclose(
            graph[row, 0, 0], by_hand(mask, direction), atol=TOLERANCE
        )


def test_three_positions_by_hand():
    graphs = UniformGraph()(np.ones((1, 3), bool))
    expected = [[0, 0.5, 0.5], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(
        to_numpy(graphs["backward_graphs"])[0, 0, 0], expected, atol=TOLERANCE
    )


def test_more_padding_changes_no_real_entry():
    short = UniformGraph()(MASK)
    longer = UniformGraph()(np.pad(MASK, [(0, 0), (0, 3)]))
    for name, graph in short.items():
        padded = to_numpy(longer[name])
        np.testing.assert_array_equal(padded[..., :5, :5], to_numpy(graph))
        assert padded.sum() == to_numpy(graph).sum()


def test_shapes_of_known_and_unknown_axes():
    layer = UniformGraph()
    for shape in ((2, 7), (None, None)):
        outputs = layer(keras.KerasTensor(shape, "bool"))
        expected = (shape[0], 1, 1, shape[1], shape[1])
        assert outputs["forward_graphs"].shape == expected
        assert layer.compute_output_shape(shape) == {
            "forward_graphs": expected,
            "backward_graphs": expected,
        }


@pytest.mark.parametrize(
    "policy, tolerance", [("mixed_float16", 1e-3), ("mixed_bfloat16", 1e-2)]
)
def test_mixed_precision_keeps_rows(policy, tolerance):
    graph = UniformGraph(dtype=policy)(np.ones((1, 300), bool))
    graph = graph["forward_graphs"]
    assert keras.backend.standardize_dtype(graph.dtype) == policy[6:]
    sums = to_numpy(keras.ops.cast(graph, "float32")).sum(-1)
    np.testing.assert_allclose(sums[0, 0, 0, 1:], 1, atol=tolerance)


def test_config_round_trip():
    config = UniformGraph(name="uniform").get_config()
    again = UniformGraph.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config


def test_file_round_trip_with_transfer(tmp_path):
    mask = keras.Input((None,), dtype="bool", name="mask")
    features = keras.Input((None, 4), name="features")
    graphs = UniformGraph()(mask)
    fused = gk.layers.GraphTransfer()(features, graphs)
    model = keras.Model([features, mask], fused)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = [np.ones((4, 5, 4), "float32"), MASK]
    np.testing.assert_allclose(
        to_numpy(loaded(inputs)), to_numpy(model(inputs)), atol=TOLERANCE
    )


def test_wrong_rank_is_named():
    with pytest.raises(ValueError, match=r"padding_mask.*\(B, T\).*Received"):
        UniformGraph()(np.ones((2, 3, 4), bool))


def test_all_edges_give_the_mean_of_the_real_positions():
    graphs = UniformGraph(edges="all")(MASK)
    assert list(graphs) == ["forward_graphs"]
    graph = to_numpy(graphs["forward_graphs"])
    assert graph.shape == (4, 1, 1, 5, 5)
    for found, mask in zip(graph[:, 0, 0], MASK, strict=True):
        expected = np.outer(mask, mask) / max(mask.sum(), 1)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    layer = UniformGraph.from_config(UniformGraph("all").get_config())
    shapes = layer.compute_output_shape((4, 5))
    assert shapes == {"forward_graphs": (4, 1, 1, 5, 5)}


def test_unknown_edges_are_refused():
    with pytest.raises(ValueError, match="`edges` must be one of.*Received: "):
        UniformGraph(edges="some")
