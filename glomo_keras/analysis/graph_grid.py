"""All graphs of one sequence: small multiples, layers by heads."""

import dataclasses

from matplotlib.ticker import MaxNLocator

from glomo_keras.analysis import drawing
from glomo_keras.analysis.checks import check_names
from glomo_keras.analysis.checks import check_square
from glomo_keras.analysis.checks import checked_graph
from glomo_keras.analysis.labels import drawable
from glomo_keras.analysis.labels import font
from glomo_keras.analysis.labels import largest_size
from glomo_keras.analysis.labels import shorten
from glomo_keras.analysis.labels import token_labels

LABEL_SIZE, PANEL_TITLE_SIZE = 6, 8  # points
MAX_LABELLED = 24  # with more units, positions stand for the tokens
MAX_TERM_CHARACTERS = 24
PANEL = 1.3  # inches, the smallest side of a panel
UNITS_PER_INCH = 75  # so that a unit is two pixels wide at least
GAP = 0.14  # inches between panels
LINE = 1.15  # distance of two labels over their height


def plot_graph_grid(graphs, tokens, *, terms=None, title=None, path=None):
    """Draws the graphs of one sequence, one row per layer, one panel per head.

    All panels share one colour scale. In each, rows are receivers and columns
    what they draw on; a single head is not named. Up to 24 units are labelled
    with their tokens, on the left and at the bottom; beyond that positions
    are.

    Args:
        graphs: array `(L, K, T, T)`, non-negative.
        tokens: sequence of T strings.
        terms: optional sequence of L strings that name the rows, such as the
            terms of a mixture; `"layer 1"`, `"layer 2"`, ... if left out.
        title: optional string.
        path: optional path, or several, ending in .png, .svg or .pdf, to
            write the figure to. Missing folders are made.

    Returns:
        A `matplotlib.figure.Figure`, registered nowhere.

    Raises:
        ValueError: if the graphs have another rank, negative or non-finite
            entries, the tokens are not T, the terms not L, or a suffix is
            unknown.

    Example:

    >>> import numpy as np
    >>> graphs = np.tile(np.eye(3, k=-1), (2, 4, 1, 1))
    >>> figure = plot_graph_grid(graphs, ["a", "dog", "barks"])
    >>> figure.axes[5].get_title()
    'layer 2, head 2'
    """
    paths = drawing.checked_paths(path)
    graphs = checked_graph(graphs, rank=4, name="graphs")
    check_square(graphs, "graphs")
    check_names(tokens, graphs.shape[-1], "tokens", "units")
    titles = _panel_titles(*graphs.shape[:2], terms)
    figure = _draw(graphs, token_labels(tokens), titles, title)
    drawing.write_figure(figure, paths)
    return figure


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Sizes in inches; `labels` is None where positions are shown."""

    labels: list | None
    left: float
    panel: float
    below: float
    title: float


def _panel_titles(num_layers, num_heads, terms):
    if terms is None:
        terms = [f"layer {layer + 1}" for layer in range(num_layers)]
    check_names(terms, num_layers, "terms", "layers")
    if num_heads == 1:
        return [[_term(term)] for term in terms]
    return [
        [f"{_term(term)}, head {head + 1}" for head in range(num_heads)]
        for term in terms
    ]


def _term(term):
    return shorten(drawable(term, keep=" "), MAX_TERM_CHARACTERS)


def _layout(labels, titles):
    labelled = len(labels) <= MAX_LABELLED
    shown = labels if labelled else [str(len(labels))]
    width, height = largest_size(shown, LABEL_SIZE)
    flat = [title for row in titles for title in row]
    title_width, title_height = largest_size(flat, PANEL_TITLE_SIZE)
    pad = drawing.TICK_PAD / 72
    return _Layout(
        labels=labels if labelled else None,
        left=drawing.MARGIN + width + pad,
        panel=max(
            PANEL,
            title_width,
            LINE * height * len(labels) if labelled else 0,
            len(labels) / UNITS_PER_INCH,
        ),
        below=drawing.MARGIN + (width if labelled else height) + pad,
        title=title_height + pad,
    )


def _draw(graphs, labels, titles, title):
    num_layers, num_heads = graphs.shape[:2]
    layout = _layout(labels, titles)
    bar_left = layout.left + num_heads * (layout.panel + GAP)
    width = bar_left + drawing.BAR_WIDTH + drawing.BAR_TEXT
    title, title_width, above = drawing.wrapped_title(
        title, width - 2 * drawing.MARGIN
    )
    above = above + 2 * drawing.MARGIN if title else drawing.MARGIN
    body = num_layers * (layout.title + layout.panel + GAP) - GAP
    figure = drawing.blank_figure(
        max(width, title_width + 2 * drawing.MARGIN),
        above + body + layout.below,
    )
    drawing.add_title(figure, title)
    image = _draw_panels(figure, graphs, titles, layout, above)
    top = above + layout.title
    drawing.add_colour_bar(figure, image, bar_left, top, body - layout.title)
    return figure


def _draw_panels(figure, graphs, titles, layout, above):
    num_layers, num_heads = graphs.shape[:2]
    for layer in range(num_layers):
        top = above + layer * (layout.title + layout.panel + GAP) + layout.title
        for head in range(num_heads):
            left = layout.left + head * (layout.panel + GAP)
            axes = drawing.add_axes(
                figure, left, top, layout.panel, layout.panel
            )
            image = drawing.draw_matrix(
                axes, graphs[layer, head], graphs.max() or 1.0
            )
            _label(axes, layout.labels, head == 0, layer == num_layers - 1)
            axes.set_title(
                titles[layer][head],
                fontproperties=font(PANEL_TITLE_SIZE),
                pad=drawing.TICK_PAD,
                parse_math=False,
            )
    return image


def _label(axes, labels, on_the_left, at_the_bottom):
    if labels is None:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(labelsize=LABEL_SIZE)
    else:
        drawing.label_rows(axes, labels, LABEL_SIZE)
        drawing.label_columns(axes, labels, LABEL_SIZE, 90)
    axes.tick_params(labelleft=on_the_left, labelbottom=at_the_bottom)
