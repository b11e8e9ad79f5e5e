"""One graph as a heat map."""

import numpy as np

from glomo_keras.analysis import drawing
from glomo_keras.analysis.labels import token_labels
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import checked_graphs
from glomo_keras.utils.validation import check_positive

# (largest number of tokens, size of their labels in points)
LABEL_SIZES = ((15, 10), (30, 8), (60, 7), (np.inf, 6))
SIDE = 3.0  # inches that the longer side takes at least
MIN_WIDTH, MIN_HEIGHT = 1.4, 1.2  # inches, room for the names of the axes


def plot_graph(
    graph,
    tokens,
    *,
    title=None,
    row_tokens=None,
    max_tokens=60,
    drop_empty_rows=False,
    path=None,
):
    """Draws a graph: rows are receivers, columns are sources.

    The figure is as large as the number and the length of the tokens need.
    Long tokens are cut with an ellipsis; characters that no font has are
    drawn as white squares.

    Args:
        graph: array `(T, T)`, non-negative; with `row_tokens` also `(R, T)`.
        tokens: sequence of T strings, the names of the columns.
        title: string. Defaults to None.
        row_tokens: sequence of R strings, the names of the rows. Defaults to
            the tokens.
        max_tokens: int. If there are more rows or columns, only the first are
            drawn, and the title says so. Defaults to 60.
        drop_empty_rows: whether to leave out rows without an edge, which the
            title then says. A graph without edges keeps its rows. Defaults to
            False.
        path: path, or several, to write the figure to, in a format that the
            suffix names. Missing folders are made. Defaults to None.

    Returns:
        A `matplotlib.figure.Figure`, not known to pyplot.

    Raises:
        ValueError: If the graph has the wrong rank, negative or non-finite
            entries, or does not match the tokens.

    Example:

    >>> figure = plot_graph(np.eye(3, k=-1), ["a", "dog", "barks"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['a', 'dog', 'barks']
    """
    graph = checked_graphs(graph, 2, "graph", square=row_tokens is None)
    row_tokens = tokens if row_tokens is None else row_tokens
    check_names(tokens, graph.shape[1], "tokens")
    check_names(row_tokens, graph.shape[0], "row_tokens")
    check_positive(max_tokens=max_tokens)
    kept, notes = _choose(graph, max_tokens, drop_empty_rows)
    figure = drawing.blank_figure(" ".join([title or "", *notes]).strip())
    _draw(
        figure,
        graph[kept, :max_tokens],
        token_labels(row_tokens[row] for row in kept),
        token_labels(tokens[:max_tokens]),
    )
    drawing.write_figure(figure, path)
    return figure


def _choose(graph, max_tokens, drop_empty_rows):
    """Returns the rows to draw, and the title's note on the others."""
    notes = []
    kept = np.arange(len(graph))
    full = np.flatnonzero(graph.any(axis=1))
    if drop_empty_rows and 0 < len(full) < len(graph):
        notes.append(f"{len(graph) - len(full)} empty rows left out")
        kept = full
    for name, count in (("rows", len(kept)), ("columns", graph.shape[1])):
        if count > max_tokens:
            notes.append(f"first {max_tokens} of {count} {name}")
    return kept[:max_tokens], [f"({'; '.join(notes)})"] if notes else []


def _draw(figure, matrix, rows, columns):
    longer = max(matrix.shape)
    size = next(size for most, size in LABEL_SIZES if longer <= most)
    pitch = max(drawing.LINE * size / 72, SIDE / longer)  # inches a cell
    horizontal = max(map(len, columns)) * size / 72 <= pitch
    axes = figure.subplots()
    image = drawing.draw_matrix(axes, matrix)
    for axis, count in zip((axes.yaxis, axes.xaxis), matrix.shape, strict=True):
        axis.set_ticks(np.arange(1, count) - 0.5, minor=True)
    axes.grid(which="minor", color="0.88", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    drawing.label_axis(axes.yaxis, rows, size)
    rotation = 0 if horizontal else 90
    drawing.label_axis(axes.xaxis, columns, size, rotation=rotation)
    names = drawing.font(drawing.TEXT_SIZE)
    axes.set_xlabel("source", fontproperties=names)
    axes.set_ylabel("receiver", fontproperties=names)
    drawing.add_colour_bar(figure, image, axes)
    width = max(pitch * len(columns), MIN_WIDTH)
    height = max(pitch * len(rows), MIN_HEIGHT)
    drawing.fit(figure, np.array([[axes]]), width, height)
