"""All graphs of one sequence: small multiples, layers by heads."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from glomo_keras.analysis import drawing
from glomo_keras.analysis.labels import drawable
from glomo_keras.analysis.labels import shorten
from glomo_keras.analysis.labels import token_labels
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import checked_graphs

LABEL_SIZE, TITLE_SIZE = 6, 8  # points
MAX_LABELLED = 24  # with more positions, their numbers stand for the tokens
MAX_TERM_CHARACTERS = 24
PANEL = 1.3  # inches, the smallest side of a panel
POSITIONS_PER_INCH = 75  # so that a position is at least two pixels wide


def plot_graph_grid(graphs, tokens, *, terms=None, title=None, path=None):
    """Draws the graphs of one sequence, one row per layer, one panel per head.

    All panels share one colour scale. Their rows are receivers, their columns
    sources. Up to 24 positions are labelled with their tokens, on the left and
    at the bottom, more with their numbers.

    Args:
        graphs: array `(L, K, T, T)`, non-negative.
        tokens: sequence of T strings.
        terms: sequence of L strings that name the rows, such as the terms of
            a mixture. Defaults to `"layer 1"`, `"layer 2"`, ...
        title: string. Defaults to None.
        path: path, or several, to write the figure to, in a format that the
            suffix names. Missing folders are made. Defaults to None.

    Returns:
        A `matplotlib.figure.Figure`, not known to pyplot.

    Raises:
        ValueError: If the graphs have the wrong rank, negative or non-finite
            entries, or do not match the tokens or the terms.

    Example:

    >>> import numpy as np
    >>> graphs = np.tile(np.eye(3, k=-1), (2, 4, 1, 1))
    >>> figure = plot_graph_grid(graphs, ["a", "dog", "barks"])
    >>> figure.axes[5].get_title()
    'layer 2, head 2'
    """
    graphs = checked_graphs(graphs, rank=4)
    num_layers, num_heads, length, _ = graphs.shape
    check_names(tokens, length, "tokens")
    if terms is None:
        terms = [f"layer {layer}" for layer in range(1, num_layers + 1)]
    check_names(terms, num_layers, "terms")
    figure = drawing.blank_figure(title)
    panels = figure.subplots(num_layers, num_heads, squeeze=False)
    for index, axes in np.ndenumerate(panels):
        image = drawing.draw_matrix(axes, graphs[index], graphs.max())
        _label(axes, token_labels(tokens))
        axes.tick_params(
            labelleft=index[1] == 0, labelbottom=index[0] == num_layers - 1
        )
        name = shorten(drawable(terms[index[0]], " "), MAX_TERM_CHARACTERS)
        if num_heads > 1:
            name = f"{name}, head {index[1] + 1}"
        drawing.set_title(axes, name, TITLE_SIZE)
    drawing.add_colour_bar(figure, image, panels)
    longest = drawing.title_width(panels.flat, TITLE_SIZE)
    side = max(PANEL, longest, length / POSITIONS_PER_INCH)
    if length <= MAX_LABELLED:
        side = max(side, length * drawing.LINE * LABEL_SIZE / 72)
    drawing.fit(figure, panels, side, side)
    drawing.write_figure(figure, path)
    return figure


def _label(axes, labels):
    if len(labels) <= MAX_LABELLED:
        drawing.label_axis(axes.yaxis, labels, LABEL_SIZE)
        drawing.label_axis(axes.xaxis, labels, LABEL_SIZE, rotation=90)
        return
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=LABEL_SIZE)
