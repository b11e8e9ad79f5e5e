import keras
import numpy as np
import pytest

from glomo_keras.analysis import graph_edges
from glomo_keras.analysis import to_networkx
from glomo_keras.analysis import to_pytorch_geometric


def random_graphs(batch, length):
    """Graphs of both directions; the last text is one position shorter."""
    weights = np.random.default_rng(0).random((batch, 2, 2, length, length))
    weights = weights.astype("float32")
    weights[-1, ..., -1, :] = weights[-1, ..., -1] = 0
    return {
        "forward_graphs": np.tril(weights, -1),
        "backward_graphs": np.triu(weights, 1),
    }


def test_networkx_has_the_weights_of_the_edges():
    networkx = pytest.importorskip("networkx")
    graphs = random_graphs(1, 4)
    graph = to_networkx(graph_edges(graphs), list("abab"))
    assert [graph.nodes[n]["token"] for n in graph] == list("abab")
    assert graph.get_edge_data(0, 2, ("forward", 1, 0))["weight"] == float(
        graphs["forward_graphs"][0, 1, 0, 2, 0]
    )
    total = sum(graphs.values()).sum((0, 1, 2))  # of all layers and heads
    matrix = networkx.to_numpy_array(graph, weight="weight").T
    np.testing.assert_allclose(matrix, total, rtol=1e-6)


def test_networkx_keeps_positions_without_an_edge():
    pytest.importorskip("networkx")
    graph = to_networkx(graph_edges(np.zeros((1, 1, 1, 2, 2))), ["a", "b"])
    assert sorted(graph) == [0, 1]


@pytest.mark.parametrize(
    "batch, tokens, message",
    [
        (2, "abcd", "of one text.*Received: edges of 2 examples"),
        (1, "ab", "Received: position 2 in a text of 2"),
    ],
)
def test_edges_of_other_texts_are_refused(batch, tokens, message):
    pytest.importorskip("networkx")
    with pytest.raises(ValueError, match=message):
        to_networkx(graph_edges(random_graphs(batch, 4)), list(tokens))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pytorch_geometric_sums_what_the_graph_sums():
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("torch_geometric.nn")
    graphs = random_graphs(2, 4)
    first, second = to_pytorch_geometric(graph_edges(graphs), [4, 3])
    assert (first.num_nodes, second.num_nodes) == (4, 3)
    features = np.random.default_rng(1).random((4, 5), "float32")
    total = sum(graphs.values()).sum((1, 2))  # (B, T, T)
    for index, data in enumerate((first, second)):
        summed = nn.SimpleConv(aggr="sum")(
            torch.from_numpy(features[: data.num_nodes]),
            data.edge_index,
            data.edge_weight,
        )
        expected = total[index][: data.num_nodes, : data.num_nodes]
        np.testing.assert_allclose(
            summed, expected @ features[: data.num_nodes], rtol=1e-5
        )
    assert set(first.direction.tolist()) == {0, 1}
    assert first.layer.max() == first["head"].max() == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pytorch_geometric_takes_edges_of_bfloat16():
    pytest.importorskip("torch_geometric")
    graphs = np.eye(4, k=-1)[None, None, None] / 3
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(graphs, "bfloat16"))
    [data] = to_pytorch_geometric(graph_edges(rounded), [4])
    np.testing.assert_allclose(data.edge_weight, [1 / 3] * 3, rtol=0.01)
    assert str(data.edge_weight.dtype) == "torch.float32"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rows_of_a_table_are_edges_too():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("networkx")
    pytest.importorskip("torch_geometric")
    table = pandas.DataFrame(graph_edges(random_graphs(2, 4)))
    second = table[(table.example == 1) & (table.weight > 0.5)]
    graph = to_networkx(second, list("abc"))
    assert graph.number_of_edges() == len(second) > 0
    empty, data = to_pytorch_geometric(second, [4, 3])
    assert (empty.num_edges, data.num_edges) == (0, len(second))
    assert set(data.direction.tolist()) == {0, 1}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_texts_give_no_data():
    pytest.importorskip("torch_geometric")
    edges = graph_edges(np.zeros((1, 1, 1, 2, 2)))
    assert to_pytorch_geometric(edges, []) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pytorch_geometric_needs_a_length_for_each_text():
    pytest.importorskip("torch_geometric")
    edges = graph_edges(random_graphs(2, 4))
    with pytest.raises(ValueError, match="Received: 1 lengths, example 1"):
        to_pytorch_geometric(edges, [4])
    with pytest.raises(ValueError, match="Received: position 3 in a text of"):
        to_pytorch_geometric(edges, [2, 4])
