import os
import subprocess
import sys

import numpy as np
import pytest

from glomo_keras.analysis import plot_graph
from tests.analysis.figures import forward_graph
from tests.analysis.figures import overlapping_texts
from tests.analysis.figures import random_words
from tests.analysis.figures import text_boxes
from tests.analysis.figures import texts_cut_off

PNG = b"\x89PNG"


def texts(labels):
    return [label.get_text() for label in labels]


@pytest.mark.parametrize(("num_units", "length"), [(1, 1), (1, 25), (40, 25)])
def test_no_text_overlaps_or_is_cut_off(num_units, length):
    words = random_words(num_units, length)
    figure = plot_graph(
        forward_graph(num_units), words, title="forward graph, layer 1, head 2"
    )
    assert overlapping_texts(figure) == []
    assert texts_cut_off(figure) == []


@pytest.mark.parametrize("shape", [(2, 12), (30, 1)])
def test_no_text_overlaps_when_not_square(shape):
    rows, columns = random_words(shape[0], 25), random_words(shape[1], 25)
    figure = plot_graph(np.ones(shape) / shape[1], columns, row_tokens=rows)
    assert overlapping_texts(figure) == []
    assert texts_cut_off(figure) == []


def test_overlap_of_crowded_labels_is_seen():
    figure = plot_graph(forward_graph(12), random_words(12, 6))
    figure.axes[0].tick_params(labelsize=30)
    assert overlapping_texts(figure)


def test_rows_are_receivers_and_columns_sources():
    graph = np.zeros((3, 3))
    graph[2, 0] = 0.7  # the third token looks at the first
    figure = plot_graph(graph, ["a", "dog", "barks"], title="Some graph")
    axes, bar = figure.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), graph)
    assert axes.images[0].get_clim() == (0.0, 0.7)
    assert axes.images[0].origin == "upper"
    assert texts(axes.get_yticklabels()) == ["a", "dog", "barks"]
    assert texts(axes.get_xticklabels()) == ["a", "dog", "barks"]
    assert axes.get_ylabel() == "receiver"
    assert axes.get_xlabel() == "source"
    assert bar.get_ylabel() == "edge weight"
    assert figure.get_suptitle() == "Some graph"


def test_long_title_is_wrapped_inside_the_figure():
    figure = plot_graph(forward_graph(3), "abc", title="a graph " * 30)
    assert overlapping_texts(figure) == []
    assert texts_cut_off(figure) == []


def test_more_tokens_than_fit_are_cropped_and_the_title_says_so():
    graph = forward_graph(9)
    figure = plot_graph(graph, list("abcdefghi"), title="G", max_tokens=4)
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(image, graph[:4, :4])
    title = "G (first 4 of 9 rows; first 4 of 9 columns)"
    assert figure.get_suptitle() == title


def test_drop_empty_rows_leaves_them_out_and_says_so():
    graph = np.zeros((4, 4))
    graph[1, 0] = graph[3, 2] = 1
    figure = plot_graph(graph, list("abcd"), drop_empty_rows=True)
    assert texts(figure.axes[0].get_yticklabels()) == ["b", "d"]
    assert texts(figure.axes[0].get_xticklabels()) == list("abcd")
    assert "2 empty rows left out" in figure.get_suptitle()


def test_drop_empty_rows_keeps_a_graph_without_edges():
    figure = plot_graph(np.zeros((3, 3)), list("abc"), drop_empty_rows=True)
    assert figure.axes[0].images[0].get_array().shape == (3, 3)
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)


def test_any_string_is_drawable():
    tokens = [
        "日本",
        "$x$",
        "$",
        "",
        " ",
        "\n",
        "😀",
        "\ud800",
        "مرحبا",
        b"\xff",
    ]
    figure = plot_graph(forward_graph(10), tokens, title="$5 日本 \ud800 $")
    assert overlapping_texts(figure) == []
    assert "$x$" in text_boxes(figure)[0]


def test_path_writes_each_format(tmp_path):
    paths = [tmp_path / "new" / f"graph.{end}" for end in ("png", "svg", "pdf")]
    plot_graph(forward_graph(3), ["a", "日", "$"], path=paths)
    starts = [path.read_bytes()[:4] for path in paths]
    assert starts == [PNG, b"<?xm", b"%PDF"]


def test_path_may_be_one_string(tmp_path):
    plot_graph(forward_graph(3), list("abc"), path=str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes()[:4] == PNG


@pytest.mark.slow
def test_pyplot_is_not_used():
    code = (  # importing keras may have imported it
        "import sys, keras; sys.modules['matplotlib.pyplot'] = None;"
        "import glomo_keras.analysis as a; a.plot_graph([[0.0]], ['a'])"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},  # imported sooner
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "graph, arguments, message",
    [
        (np.ones(3), {}, r"2 axes.*Received: graph of shape \(3,\)"),
        (np.ones((2, 3)), {}, r"as many rows.*Received: graph of shape"),
        (np.zeros((0, 0)), {"tokens": []}, r"empty\. Received: graph of shape"),
        (np.ones((2, 2)), {}, r"`tokens`.*Received: 3 tokens"),
        (-np.eye(3), {}, "none of them negative.*entries from -1"),
        (np.full((3, 3), np.nan), {}, "finite.*entries from nan"),
        (np.eye(3), {"row_tokens": ["a"]}, r"Received: 1 row_tokens"),
        (np.eye(3), {"max_tokens": 0}, r"Received: max_tokens=0"),
        (np.eye(3), {"path": "a.xyz"}, "Format 'xyz' is not supported"),
    ],
)
def test_wrong_arguments_are_refused(graph, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_graph(graph, **{"tokens": list("abc"), **arguments})
