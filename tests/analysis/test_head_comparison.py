import numpy as np
import pytest

from glomo_keras.analysis import compare_heads


def decaying(length, rate=0.5):
    at = np.arange(length)
    weights = np.tril(np.exp(-rate * np.abs(at[:, None] - at)), -1)
    sums = weights.sum(-1, keepdims=True)
    return np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)


def random_rows(length, seed):
    weights = np.random.default_rng(seed).random((length, length)) ** 8
    weights = np.tril(weights, -1)
    weights[1:] /= weights[1:].sum(-1, keepdims=True)
    return weights


def rows_of(*heads):
    """Rows of the table for one layer of heads of one text."""
    return compare_heads({"forward_graphs": np.stack(heads)[None, None]})


def test_rows_name_direction_layer_and_head_from_one():
    graphs = np.tril(np.ones((1, 2, 3, 4, 4)), -1)
    rows = compare_heads(
        {
            "forward_graphs": graphs,
            "backward_graphs": np.swapaxes(graphs, -1, -2),
        }
    )
    places = [(r["direction"], r["layer"], r["head"]) for r in rows]
    assert len(set(places)) == len(places) == 12
    assert places[5] == ("forward", 2, 3)


def test_head_of_distance_alone_is_positional():
    decay, previous, other = rows_of(
        decaying(20), np.eye(20, k=-1), random_rows(20, 0)
    )
    assert decay["by_distance"] > 0.99
    assert previous["by_distance"] == pytest.approx(1)
    assert "positional" in decay["kind"]
    assert other["by_distance"] < 0.3
    assert "positional" not in other["kind"]


def test_peak_is_the_mean_of_the_largest_weights():
    graph = np.zeros((4, 4))
    graph[1, 0] = 1  # forced: left out
    graph[2, :2] = 0.3, 0.7
    graph[3, :3] = 0.5, 0.25, 0.25
    [row] = rows_of(graph)
    assert row["peak"] == pytest.approx(0.6)
    assert row["kind"].split(", ")[-1] == "sharp"
    assert row["empty_rows"] == 0


def test_head_with_empty_rows_is_dead():
    graph = random_rows(9, 0)
    graph[2:7] = 0  # 5 of the 7 rows that can have several edges
    dead, alive = rows_of(graph, random_rows(9, 1))
    assert dead["empty_rows"] == pytest.approx(5 / 7)
    assert dead["kind"].startswith("dead")
    assert "dead" not in alive["kind"]


def test_second_of_two_equal_heads_is_double():
    first, other, second = rows_of(
        random_rows(9, 0), random_rows(9, 1), random_rows(9, 0)
    )
    assert first["twin"] == (1, 3) and second["twin"] == (1, 1)
    assert second["correlation"] == pytest.approx(1)
    assert "double" in second["kind"]
    assert "double" not in first["kind"] + other["kind"]


def test_uniform_and_empty_heads_say_nothing():
    uniform, empty = rows_of(decaying(6, rate=0.0), np.zeros((6, 6)))
    assert uniform["by_distance"] == empty["by_distance"] == 0
    assert uniform["correlation"] == pytest.approx(0, abs=1e-6)
    assert empty["kind"] == "dead"


def test_padding_changes_nothing():
    graph = random_rows(6, 0)
    mask = np.arange(8)[None] < 6
    padded = np.pad(graph, ((0, 2), (0, 2)), constant_values=0.5)
    padded = padded[None, None, None]
    [row] = compare_heads({"forward_graphs": padded}, mask)
    [expected] = rows_of(graph)
    for name in ("empty_rows", "peak", "by_distance"):
        assert row[name] == pytest.approx(expected[name])


def test_edges_against_the_direction_are_refused():
    ahead = np.eye(6, k=1)[None, None, None]
    for graph in (ahead, ahead + np.eye(6, k=-1)):
        with pytest.raises(ValueError, match="forward_graphs with 5 such"):
            compare_heads({"forward_graphs": graph})


def test_graphs_of_another_form_are_refused():
    with pytest.raises(ValueError, match="5 axes.*Received: graphs of shape"):
        compare_heads({"forward_graphs": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="Received: "):
        compare_heads(np.zeros((1, 1, 1, 2, 2)))
    with pytest.raises(ValueError, match="an array here.*'past_keys'"):
        compare_heads({"forward_graphs": {"past_keys": np.zeros((1, 1))}})
