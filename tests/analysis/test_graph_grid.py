import numpy as np
import pytest

from glomo_keras.analysis import plot_graph_grid
from tests.analysis.figures import forward_graph
from tests.analysis.figures import overlapping_texts
from tests.analysis.figures import random_words
from tests.analysis.figures import texts_cut_off


def grid(num_layers, num_heads, num_units):
    """Graphs `(L, K, T, T)`, each its own."""
    seeds = np.arange(num_layers * num_heads).reshape(num_layers, num_heads)
    return np.array(
        [[forward_graph(num_units, seed) for seed in row] for row in seeds]
    )


@pytest.mark.parametrize(
    "num_layers, num_heads, num_units, length",
    [
        pytest.param(2, 4, 12, 6, marks=pytest.mark.slow),
        pytest.param(2, 1, 24, 25, marks=pytest.mark.slow),
        (2, 2, 12, 6),
        (1, 2, 60, 6),
        (1, 2, 1, 1),
    ],
)
def test_no_text_overlaps_or_is_cut_off(
    num_layers, num_heads, num_units, length
):
    figure = plot_graph_grid(
        grid(num_layers, num_heads, num_units),
        random_words(num_units, length),
        title="Graphs of one sentence",
    )
    assert overlapping_texts(figure) == []
    assert texts_cut_off(figure) == []


def test_panels_are_layers_by_heads_with_one_colour_scale():
    graphs = grid(2, 3, 5)
    graphs[0] *= 0.5
    *panels, bar = plot_graph_grid(graphs, list("abcde")).axes
    assert [panel.get_title() for panel in panels] == [
        f"layer {layer}, head {head}" for layer in (1, 2) for head in (1, 2, 3)
    ]
    for panel, graph in zip(panels, graphs.reshape(6, 5, 5), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), graph)
        assert panel.images[0].get_clim() == (0.0, graphs.max())
    assert bar.get_ylabel() == "edge weight"


def test_tokens_stand_on_the_left_and_at_the_bottom():
    *panels, _ = plot_graph_grid(grid(2, 2, 3), ["a", "dog", "barks"]).axes
    left = [panel.yaxis.get_tick_params()["labelleft"] for panel in panels]
    bottom = [panel.xaxis.get_tick_params()["labelbottom"] for panel in panels]
    assert left == [True, False, True, False]
    assert bottom == [False, False, True, True]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == ["a", "dog", "barks"]


def test_terms_name_the_rows():
    terms = ["G¹", "Λ²", "a very long name of a mixture term"]
    figure = plot_graph_grid(grid(3, 1, 3), list("abc"), terms=terms)
    titles = [panel.get_title() for panel in figure.axes[:3]]
    assert titles[:2] == ["G¹", "Λ²"]  # a single head is not named
    assert titles[2].endswith("…")
    figure = plot_graph_grid(grid(1, 2, 3), list("abc"), terms=["G¹"])
    assert figure.axes[1].get_title() == "G¹, head 2"
    assert overlapping_texts(figure) == []


def test_path_writes_the_figure(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "a.svg"]
    plot_graph_grid(grid(1, 2, 3), ["a", "日", "$x$"], path=paths)
    assert all(path.stat().st_size > 1000 for path in paths)


@pytest.mark.parametrize(
    "graphs, arguments, message",
    [
        (np.ones((3, 3)), {}, r"4 axes.*Received: graphs of shape \(3, 3\)"),
        (np.ones((1, 1, 3, 2)), {}, r"as many rows.*Received: graphs of shape"),
        (np.ones((1, 1, 2, 2)), {}, r"Received: 3 tokens"),
        (-np.ones((1, 1, 3, 3)), {}, "none of them negative"),
        (np.ones((2, 1, 3, 3)), {"terms": ["G"]}, r"Received: 1 terms"),
    ],
)
def test_wrong_arguments_are_refused(graphs, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_graph_grid(graphs, list("abc"), **arguments)
