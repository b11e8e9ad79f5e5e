import numpy as np
import pytest

from glomo_keras.analysis import graph_statistics

TOLERANCE = 1e-12


def one(graph):
    """`(T, T)` as a batch of one graph, one layer, one head."""
    return np.asarray(graph, "float64")[None, None, None]


def numbers(*arguments, **options):
    statistics = graph_statistics(*arguments, **options)
    return {name: float(value[0, 0]) for name, value in statistics.items()}


def by_loops(graphs, mask):
    """The same statistics of forward graphs, one edge after the other."""
    batch, layers, heads, units, _ = graphs.shape
    result = np.zeros((4, layers, heads))
    for layer, head in np.ndindex(layers, heads):
        edges = pairs = empty = rows = far = mass = entropy = filled = 0
        for b in range(batch):
            for t in range(units):
                sources = [s for s in range(t) if mask[b, s] and mask[b, t]]
                row = [graphs[b, layer, head, t, s] for s in sources]
                pairs += len(sources)
                edges += sum(weight > 0 for weight in row)
                rows += bool(sources)
                empty += bool(sources) and not sum(row)
                filled += sum(row) > 0
                for s, weight in zip(sources, row, strict=True):
                    far, mass = far + weight * (t - s), mass + weight
                    share = weight / sum(row) if weight else 1
                    entropy -= share * np.log(share)
        result[:, layer, head] = (
            edges / pairs,
            empty / rows,
            far / mass,
            entropy / filled,
        )
    return result


def test_statistics_of_three_units_worked_by_hand():
    graph = [[0, 0, 0], [0, 0, 0], [0.25, 0.75, 0]]
    result = numbers(one(graph), direction="forward")
    assert result["density"] == pytest.approx(2 / 3)
    assert result["empty_rows"] == 0.5  # the first row can have no edge
    assert result["mean_distance"] == pytest.approx(0.25 * 2 + 0.75)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert result["mean_entropy"] == pytest.approx(entropy)


def test_statistics_equal_loops_over_edges():
    rng = np.random.default_rng(0)
    mask = np.arange(7) < np.array([[7], [4], [1]])
    graphs = np.maximum(rng.normal(size=(3, 2, 2, 7, 7)), 0)
    graphs = (
        np.tril(graphs, -1) * (mask[:, None] & mask[:, :, None])[:, None, None]
    )
    graphs[0, :, 0, 3] = 0
    result = np.array(list(graph_statistics(graphs, mask).values()))
    np.testing.assert_allclose(result, by_loops(graphs, mask), atol=TOLERANCE)


def test_mirrored_graph_has_the_same_statistics():
    graph = np.tril(np.random.default_rng(0).random((5, 5)), -1)
    forward = numbers(one(graph), direction="forward")
    backward = numbers(one(graph[::-1, ::-1]), direction="backward")
    assert backward == pytest.approx(forward, abs=TOLERANCE)
    assert numbers(one(graph[::-1, ::-1])) == backward  # read off the graph


def test_more_padding_changes_nothing():
    graph = np.tril(np.random.default_rng(0).random((4, 4)), -1)
    padded = np.pad(graph, ((0, 3), (0, 3)))
    mask = np.arange(7)[None] < 4
    assert numbers(one(padded), mask) == pytest.approx(numbers(one(graph)))


def test_every_pair_is_admissible_with_edges_on_both_sides():
    assert numbers(one(np.ones((3, 3))))["density"] == 1.0
    assert numbers(one(np.ones((3, 3)) / 3))["mean_entropy"] == pytest.approx(
        np.log(3)
    )


@pytest.mark.parametrize("mask", [None, np.zeros((1, 3), "bool")])
def test_nothing_to_count_gives_zeros_without_warnings(mask):
    result = numbers(np.zeros((1, 1, 1, 3, 3)), mask)
    empty = 1.0 if mask is None else 0.0
    assert result == {
        "density": 0.0,
        "empty_rows": empty,
        "mean_distance": 0.0,
        "mean_entropy": 0.0,
    }


@pytest.mark.parametrize(
    "graphs, options, message",
    [
        (np.ones((3, 3)), {}, r"5 axes.*Received: graphs of shape \(3, 3\)"),
        (np.ones((1, 1, 1, 3, 2)), {}, r"as many rows.*Received: graphs of"),
        (one([[-1.0]]), {}, "none of them negative"),
        (one([[np.nan]]), {}, "finite.*entries from nan"),
        (one([[0.0]]), {"direction": "up"}, r"Received: direction='up'"),
        (
            one(np.eye(2, k=1)),
            {"direction": "forward"},
            r"against the direction. Received: graphs with 1 such edges",
        ),
        (
            one(np.eye(2, k=-1)),
            {"padding_mask": [[True, False]]},
            r"padding.*Received: graphs with 1 such edges",
        ),
        (one([[0.0]]), {"padding_mask": [True]}, r"Received: padding_mask of"),
        (one([[0.0]]), {"padding_mask": [[1]]}, r"Received: padding_mask of"),
    ],
)
def test_wrong_arguments_are_refused(graphs, options, message):
    with pytest.raises(ValueError, match=message):
        graph_statistics(graphs, **options)
