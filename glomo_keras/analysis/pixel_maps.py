"""Where a pixel draws from: small maps beside the image, as Fig. 4."""

from glomo_keras.analysis import drawing
from glomo_keras.analysis.checks import check_square
from glomo_keras.analysis.checks import checked_graph
from glomo_keras.analysis.labels import font
from glomo_keras.analysis.labels import largest_size

TITLE_SIZE = 8  # points
PANEL, GAP = 0.95, 0.1  # inches
MARK = "tab:red"


def plot_pixel_maps(graphs, image, pixel, *, title=None, path=None):
    """Draws an image and the edges into one of its pixels, head by head.

    Layers are rows, heads columns. Each map has the size of the image; its
    darkest place is its own largest weight, which stands above it. The pixel
    is marked in the image and in every map.

    Args:
        graphs: array `(L, K, T, T)`, non-negative, T = H W.
        image: uint8 array `(H, W, 3)`.
        pixel: pair of integers, row and column of the receiver.
        title: optional string.
        path: optional path, or several, ending in .png, .svg or .pdf, to
            write the figure to. Missing folders are made.

    Returns:
        A `matplotlib.figure.Figure`, registered nowhere.

    Raises:
        ValueError: if the graphs do not fit the image, the pixel is outside
            it, or a suffix is unknown.

    Example:

    >>> import numpy as np
    >>> graphs = np.tile(np.eye(12, k=-1), (2, 4, 1, 1))
    >>> image = np.zeros((3, 4, 3), "uint8")
    >>> figure = plot_pixel_maps(graphs, image, (1, 2))
    >>> figure.axes[1].get_title()
    'layer 1, head 1: 1'
    """
    paths = drawing.checked_paths(path)
    graphs = checked_graph(graphs, rank=4, name="graphs")
    check_square(graphs, "graphs")
    height, width = image.shape[:2]
    row, column = pixel
    if graphs.shape[-1] != height * width:
        raise ValueError(
            "The graphs must have a unit for each pixel of the image. "
            f"Received: {graphs.shape[-1]} units, an image of {image.shape}"
        )
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"`pixel` must lie in the image of {height} rows and {width} "
            f"columns. Received: pixel={pixel}"
        )
    maps = graphs[:, :, row * width + column]
    figure = _draw(
        maps.reshape(*maps.shape[:2], height, width), image, pixel, title
    )
    drawing.write_figure(figure, paths)
    return figure


def _draw(maps, image, pixel, title):
    num_layers, num_heads = maps.shape[:2]
    titles = [
        [
            f"layer {layer + 1}, head {head + 1}: {maps[layer, head].max():.2g}"
            for head in range(num_heads)
        ]
        for layer in range(num_layers)
    ]
    longest = [text for row in titles for text in row]
    title_width, title_height = largest_size(longest, TITLE_SIZE)
    panel = max(PANEL, title_width)
    step_down = panel + title_height + 2 * GAP
    first = drawing.MARGIN + panel + 3 * GAP  # the image stands before them
    full_width = first + num_heads * (panel + GAP)
    title, _, above = drawing.wrapped_title(title, full_width - 2 * GAP)
    top = above + 2 * drawing.MARGIN + title_height
    figure = drawing.blank_figure(
        full_width, top + num_layers * step_down - title_height
    )
    drawing.add_title(figure, title)
    axes = drawing.add_axes(figure, drawing.MARGIN, top, panel, panel)
    drawing.draw_matrix(axes, image, 255)
    _finish(axes, pixel, "image")
    for layer in range(num_layers):
        for head in range(num_heads):
            axes = drawing.add_axes(
                figure,
                first + head * (panel + GAP),
                top + layer * step_down,
                panel,
                panel,
            )
            one = maps[layer, head]
            drawing.draw_matrix(axes, one, one.max() or 1.0)
            _finish(axes, pixel, titles[layer][head])
    return figure


def _finish(axes, pixel, title):
    row, column = pixel
    axes.plot(
        [column], [row], marker="s", markersize=3, color=MARK, fillstyle="none"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(
        title,
        fontproperties=font(TITLE_SIZE),
        pad=drawing.TICK_PAD,
        parse_math=False,
    )
