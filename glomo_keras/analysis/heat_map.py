"""One graph as a heat map."""

import dataclasses

import numpy as np

from glomo_keras.analysis import drawing
from glomo_keras.analysis.checks import check_names
from glomo_keras.analysis.checks import check_square
from glomo_keras.analysis.checks import checked_graph
from glomo_keras.analysis.labels import font
from glomo_keras.analysis.labels import largest_size
from glomo_keras.analysis.labels import token_labels

# (largest number of tokens, size of their labels in points)
LABEL_SIZES = ((15, 10), (30, 8), (60, 7))
SMALLEST_LABEL = 6
SIDE = 3.0  # inches that the longer side takes at least
MIN_WIDTH, MIN_HEIGHT = 1.4, 0.8  # inches, room for the names of the axes
LINE = 1.15  # distance of two labels over their height
AXIS_NAME = 0.24  # inches for the name of an axis
GAP = 0.15  # inches between the heat map and the colour bar


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
    """Draws a graph: rows are receivers, columns what they draw on.

    The size of the figure and of its labels follows from the number and the
    length of the tokens. Long tokens are cut with an ellipsis, characters
    that no font has are drawn as white squares.

    Args:
        graph: array `(T, T)`, non-negative; with `row_tokens` also `(R, T)`.
        tokens: sequence of T strings, names of the columns.
        title: optional string.
        row_tokens: optional sequence of R strings, names of the rows; the
            tokens if left out.
        max_tokens: int; of more rows or columns only the first are drawn, and
            the title says so.
        drop_empty_rows: whether rows without any edge are left out, which the
            title then says. A graph without edges keeps its rows.
        path: optional path, or several, ending in .png, .svg or .pdf, to
            write the figure to. Missing folders are made.

    Returns:
        A `matplotlib.figure.Figure`, registered nowhere.

    Raises:
        ValueError: if the graph has another rank, negative or non-finite
            entries, the tokens do not match it, or a suffix is unknown.

    Example:

    >>> figure = plot_graph(np.eye(3, k=-1), ["a", "dog", "barks"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['a', 'dog', 'barks']
    """
    paths = drawing.checked_paths(path)
    graph, tokens, row_tokens = _checked(graph, tokens, row_tokens, max_tokens)
    chosen = _choose(graph, tokens, row_tokens, max_tokens, drop_empty_rows)
    figure = _draw(chosen, _title(title, chosen.notes))
    drawing.write_figure(figure, paths)
    return figure


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """What is drawn: the matrix `(R, C)`, its labels, what is left out."""

    matrix: np.ndarray
    rows: list
    columns: list
    notes: list


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Sizes in inches, the label size in points, the rotation in degrees."""

    label_size: int
    rotation: int
    left: float
    width: float
    height: float
    below: float


def _checked(graph, tokens, row_tokens, max_tokens):
    graph = checked_graph(graph, rank=2)
    if row_tokens is None:
        check_square(graph)
        row_tokens = tokens
    check_names(tokens, graph.shape[1], "tokens", "columns of `graph`")
    check_names(row_tokens, graph.shape[0], "row_tokens", "rows of `graph`")
    if max_tokens < 1:
        raise ValueError(
            f"`max_tokens` must be positive. Received: max_tokens={max_tokens}"
        )
    return graph, tokens, row_tokens


def _choose(graph, tokens, row_tokens, max_tokens, drop_empty_rows):
    notes = []
    kept = np.arange(len(graph))
    full = np.flatnonzero(graph.any(axis=1))
    if drop_empty_rows and 0 < len(full) < len(graph):
        notes.append(f"{len(graph) - len(full)} empty rows left out")
        kept = full
    if len(kept) > max_tokens:
        notes.append(f"first {max_tokens} of {len(kept)} rows")
        kept = kept[:max_tokens]
    if len(tokens) > max_tokens:
        notes.append(f"first {max_tokens} of {len(tokens)} columns")
    return _Chosen(
        graph[kept, :max_tokens],
        token_labels([row_tokens[row] for row in kept]),
        token_labels(tokens[:max_tokens]),
        notes,
    )


def _title(title, notes):
    note = f"({'; '.join(notes)})" if notes else ""
    return " ".join(part for part in (title, note) if part)


def _label_size(number):
    fitting = (size for most, size in LABEL_SIZES if number <= most)
    return next(fitting, SMALLEST_LABEL)


def _layout(rows, columns):
    size = _label_size(max(len(rows), len(columns)))
    row_width, row_height = largest_size(rows, size)
    column_width, column_height = largest_size(columns, size)
    pitch = LINE * max(row_height, column_height)
    pitch = max(pitch, SIDE / max(len(rows), len(columns)))
    width = max(pitch * len(columns), MIN_WIDTH)
    horizontal = LINE * column_width <= width / len(columns)
    return _Layout(
        label_size=size,
        rotation=0 if horizontal else 90,
        left=drawing.MARGIN + AXIS_NAME + row_width + _pads(),
        width=width,
        height=max(pitch * len(rows), MIN_HEIGHT),
        below=(column_height if horizontal else column_width)
        + AXIS_NAME
        + _pads()
        + drawing.MARGIN,
    )


def _pads():
    return (drawing.TICK_PAD + drawing.LABEL_PAD) / 72


def _draw(chosen, title):
    layout = _layout(chosen.rows, chosen.columns)
    bar_left = layout.left + layout.width + GAP
    width = bar_left + drawing.BAR_WIDTH + drawing.BAR_TEXT
    title, title_width, above = drawing.wrapped_title(
        title, width - 2 * drawing.MARGIN
    )
    top = above + 2 * drawing.MARGIN
    bar_height = max(layout.height, drawing.BAR_MIN_HEIGHT)
    body = max(layout.height + layout.below, bar_height + drawing.MARGIN)
    width = max(width, title_width + 2 * drawing.MARGIN)
    figure = drawing.blank_figure(width, top + body)
    drawing.add_title(figure, title)
    image = _draw_graph(figure, chosen, layout, top)
    drawing.add_colour_bar(figure, image, bar_left, top, bar_height)
    return figure


def _draw_graph(figure, chosen, layout, top):
    axes = drawing.add_axes(
        figure, layout.left, top, layout.width, layout.height
    )
    highest = chosen.matrix.max() or 1.0
    image = drawing.draw_matrix(axes, chosen.matrix, highest)
    drawing.draw_cell_lines(axes, *chosen.matrix.shape)
    drawing.label_rows(axes, chosen.rows, layout.label_size)
    drawing.label_columns(
        axes, chosen.columns, layout.label_size, layout.rotation
    )
    names = font(drawing.TEXT_SIZE)
    pad = drawing.LABEL_PAD
    axes.set_xlabel("draws on", labelpad=pad, fontproperties=names)
    axes.set_ylabel("receiver", labelpad=pad, fontproperties=names)
    return image
