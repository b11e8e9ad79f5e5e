import keras
import numpy as np
import pytest

from glomo_keras.analysis import dense_graphs
from glomo_keras.analysis import graph_edges
from glomo_keras.analysis import top_edges
from tests.backends import to_numpy
from tests.models.small_models import inputs
from tests.models.small_models import small_predictor

NAMES = ("example", "layer", "head", "receiver", "source")


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture(scope="module")
def graphs(predictor):
    return to_numpy(predictor(inputs()))


def forward_graphs(seed=0, shape=(2, 2, 3, 6, 6)):
    graphs = np.random.default_rng(seed).random(shape) > 0.4
    return np.tril(graphs / np.arange(1, 7)[:, None], -1).astype("float32")


def test_edges_of_three_positions_worked_by_hand():
    graph = np.array([[0, 0, 0], [1, 0, 0], [0.25, 0.75, 0]], "float32")
    edges = graph_edges(graph[None, None, None])
    assert edges["receiver"].tolist() == [1, 2, 2]
    assert edges["source"].tolist() == [0, 0, 1]
    assert edges["weight"].tolist() == [1.0, 0.25, 0.75]
    assert edges["direction"].tolist() == ["forward"] * 3
    assert edges["weight"].dtype == "float32"
    assert {edges[name].dtype for name in NAMES} == {np.dtype("int32")}


def test_graphs_made_again_of_their_edges_are_equal_bit_by_bit(graphs):
    edges = graph_edges(graphs, inputs()["padding_mask"])
    dense = dense_graphs(edges, graphs["forward_graphs"].shape)
    assert dense.keys() == graphs.keys()
    for name, graph in graphs.items():
        np.testing.assert_array_equal(dense[name], graph)


def test_edges_are_the_entries_of_the_graphs(graphs):
    edges = graph_edges(graphs)
    for direction in ("forward", "backward"):
        chosen = edges["direction"] == direction
        places = tuple(edges[name][chosen] for name in NAMES)
        graph = graphs[f"{direction}_graphs"]
        np.testing.assert_array_equal(graph[places], edges["weight"][chosen])
        assert len(places[0]) == np.count_nonzero(graph) > 0


def test_both_forms_give_the_same_edges(predictor, graphs):
    factors = predictor.factored()(inputs())
    expected, edges = graph_edges(graphs), graph_edges(factors)
    one = graph_edges(factors["backward_graphs"])
    backward = expected["direction"] == "backward"
    for name, values in expected.items():
        np.testing.assert_array_equal(edges[name], values)
        np.testing.assert_array_equal(one[name], values[backward])


def test_edges_from_and_to_padding_are_left_out():
    graphs = np.ones((2, 1, 1, 3, 3))
    mask = np.array([[True, True, False], [True, False, False]])
    edges = graph_edges(graphs, mask)
    assert edges["example"].tolist() == [0, 0, 0, 0, 1]
    assert edges["receiver"].tolist() == [0, 0, 1, 1, 0]
    assert set(edges["direction"]) == {"both"}


def test_direction_of_an_array_is_read_off_or_given():
    graphs = forward_graphs()
    assert set(graph_edges(graphs)["direction"]) == {"forward"}
    mirrored = graphs[..., ::-1, ::-1]
    assert set(graph_edges(mirrored)["direction"]) == {"backward"}
    assert set(graph_edges(graphs, None, "both")["direction"]) == {"both"}


def test_graphs_without_an_edge_have_arrays_of_no_entry():
    edges = graph_edges(np.zeros((1, 1, 1, 2, 2)))
    assert {len(values) for values in edges.values()} == {0}


def test_pandas_makes_a_table_of_edges():
    pandas = pytest.importorskip("pandas")
    graphs = forward_graphs()
    table = pandas.DataFrame(graph_edges(graphs))
    sums = table.groupby([*NAMES[:4]])["weight"].sum()
    np.testing.assert_allclose(sums, graphs.sum(-1)[graphs.any(-1)], rtol=1e-6)


@pytest.mark.parametrize(
    "graphs, options, message",
    [
        (np.ones((2, 2)), {}, r"5 axes.*Received: graphs of shape \(2, 2\)"),
        (-np.ones((1, 1, 1, 2, 2)), {}, "none of them negative"),
        (np.full((1, 1, 1, 2, 2), np.nan), {}, "must have finite entries"),
        (
            np.ones((1, 1, 1, 2, 2)),
            {"padding_mask": np.ones((1, 3), "bool")},
            r"of shape \(1, 2\). Received: padding_mask of bool, shape",
        ),
        (np.ones((1, 1, 1, 2, 2)), {"direction": "up"}, "direction='up'"),
        ({"graphs": np.ones((1, 1, 1, 2, 2))}, {}, "Received: a dict with"),
    ],
)
def test_wrong_arguments_of_edges_are_refused(graphs, options, message):
    with pytest.raises(ValueError, match=message):
        graph_edges(graphs, **options)


@pytest.mark.parametrize("shape", [(1, 2, 3, 6, 6), (2, 3, 6, 6)])
def test_shape_that_does_not_hold_all_edges_is_refused(shape):
    edges = graph_edges(forward_graphs())
    needed = r"at least \(2, 2, 3, 6, 5\)"
    with pytest.raises(ValueError, match=f"{needed}. Received: shape="):
        dense_graphs(edges, shape)


def test_edges_that_stand_twice_are_refused():
    edges = graph_edges(forward_graphs())
    twice = {k: np.concatenate([x, x]) for k, x in edges.items()}
    with pytest.raises(ValueError, match="must not hold.*Received: forward"):
        dense_graphs(twice, (2, 2, 3, 6, 6))


def test_top_edges_are_ranked_by_what_exceeds_the_uniform_share():
    graph = np.zeros((4, 4))
    graph[1, 0] = 1  # could not be otherwise
    graph[2, :2] = 0.3, 0.7  # 0.2 above 1 / 2
    graph[3, :3] = 0.6, 0.4, 0  # 0.267 and 0.067 above 1 / 3
    edges = top_edges(graph, ["a", "dog", "a", "barks"])
    assert [(e.receiver_position, e.source_position) for e in edges] == [
        (3, 0),
        (2, 1),
        (3, 1),
    ]
    assert edges[1][:3] == ("a", "dog", 0.7)
    assert [edge.excess for edge in edges] == pytest.approx(
        [0.6 - 1 / 3, 0.2, 0.4 - 1 / 3]
    )
    assert len(top_edges(graph, list("abcd"), k=2)) == 2


def test_top_edges_of_a_backward_graph_are_those_of_its_mirror():
    graph = np.tril(np.random.default_rng(0).random((5, 5)), -1)
    graph[1:] /= graph[1:].sum(-1, keepdims=True)
    forward = top_edges(graph, list("abcde"))
    backward = top_edges(graph[::-1, ::-1], list("edcba"))
    assert [e[:2] for e in forward] == [e[:2] for e in backward]
    assert [e.excess for e in forward] == pytest.approx(
        [e.excess for e in backward]
    )
    assert {edge.direction for edge in backward} == {"backward"}


def test_top_edges_of_a_uniform_graph_are_none():
    rows = np.arange(4)[:, None]
    uniform = np.tril(np.ones((4, 4), "float32"), -1) / np.maximum(rows, 1)
    assert top_edges(uniform.astype("float32"), list("abcd")) == []
    assert top_edges(np.zeros((3, 3)), list("abc")) == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounding_makes_no_top_edges(dtype):
    rows = np.arange(12)[:, None]
    uniform = np.tril(np.ones((12, 12)), -1) / np.maximum(rows, 1)
    uniform[5, :5] = 0.4, 0.15, 0.15, 0.15, 0.15
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(uniform, dtype))
    [edge] = top_edges(rounded, [*"abcdefghijkl"], k=99)
    assert (edge.receiver, edge.source) == ("f", "a")


def test_edges_on_both_sides_are_top_edges_whatever_their_name():
    graph = np.zeros((4, 4))
    graph[np.arange(4), [2, 3, 0, 1]] = 1.0
    edges = top_edges({"forward_graphs": graph}, list("abcd"))
    assert [edge.receiver for edge in edges] == list("abcd")
    assert {edge.excess for edge in edges} == {0.75}


def test_top_edges_of_one_layer_head_and_direction():
    graphs = {"forward_graphs": np.zeros((2, 2, 3, 3))}
    graphs["forward_graphs"][0, 1, 2, 0] = 0.9
    graphs["forward_graphs"][1, 1, 2, 1] = 0.8
    graphs["backward_graphs"] = np.zeros((2, 2, 3, 3))
    graphs["backward_graphs"][1, 1, 0, 2] = 1

    def found(**options):
        edges = top_edges(graphs, list("abc"), **options)
        return [(e.direction, e.layer, e.head, e.weight) for e in edges]

    strongest = ("backward", 2, 2, 1.0)
    assert found() == [
        strongest,
        ("forward", 1, 2, 0.9),
        ("forward", 2, 2, 0.8),
    ]
    assert found(layer=2) == [strongest, ("forward", 2, 2, 0.8)]
    assert found(head=1) == []
    assert found(direction="forward", layer=1) == [("forward", 1, 2, 0.9)]


@pytest.mark.parametrize(
    "graph, tokens, options, message",
    [
        (np.ones((1, 2, 2)), "ab", {}, "4 axes.*Received: graphs of shape"),
        (np.ones((2, 2)), "abc", {}, "Received: 3 tokens"),
        (-np.ones((2, 2)), "ab", {}, "none of them negative"),
        (np.ones((2, 2)), "ab", {"k": 0}, "Received: k=0"),
        (np.ones((2, 2)), "ab", {"layer": 2}, "Received: layer=2"),
        (np.ones((2, 2)), "ab", {"head": 0}, "Received: head=0"),
        (np.eye(2, k=-1), "ab", {"direction": "backward"}, "'backward'"),
    ],
)
def test_wrong_arguments_are_refused(graph, tokens, options, message):
    with pytest.raises(ValueError, match=message):
        top_edges(graph, tokens, **options)
