"""Draws where a pixel looks: small maps next to the image, as in Fig. 4."""

import numpy as np

from glomo_keras.analysis import drawing
from glomo_keras.utils.graph_arrays import checked_graphs

TITLE_SIZE = 8  # points
PANEL = 0.95  # inches, the smallest side of a panel


def plot_pixel_maps(graphs, image, pixel, *, title=None, path=None):
    """Draws an image and the edges into one of its pixels, head by head.

    Layers are rows, heads are columns. Each map has the size of the image;
    its darkest place is its own largest weight, which stands above it. The
    pixel is marked in the image and in every map.

    Args:
        graphs: array `(L, K, T, T)`, non-negative, T = H W.
        image: uint8 array `(H, W, 3)`.
        pixel: pair of integers, row and column of the receiver.
        title: string. Defaults to None.
        path: path, or several, to write the figure to, in a format that the
            suffix names. Missing folders are made. Defaults to None.

    Returns:
        A `matplotlib.figure.Figure`, not known to pyplot.

    Raises:
        ValueError: If the graphs do not fit the image, or the pixel is
            outside it.

    Example:

    >>> import numpy as np
    >>> graphs = np.tile(np.eye(12, k=-1), (2, 4, 1, 1))
    >>> image = np.zeros((3, 4, 3), "uint8")
    >>> figure = plot_pixel_maps(graphs, image, (1, 2))
    >>> figure.axes[1].get_title()
    'layer 1, head 1: 1'
    """
    graphs, image = checked_graphs(graphs, rank=4), np.asarray(image)
    height, width = image.shape[:2]
    row, column = pixel
    if graphs.shape[-1] != height * width:
        raise ValueError(
            "`graphs` must have a position for each pixel of the image. "
            f"Received: {graphs.shape[-1]} positions, an image of {image.shape}"
        )
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"`pixel` must lie in the image of {height} rows and {width} "
            f"columns. Received: pixel={pixel}"
        )
    maps = graphs[:, :, row * width + column]  # (L, K, T)
    figure = drawing.blank_figure(title)
    num_layers, num_heads = maps.shape[:2]
    panels = figure.subplots(num_layers, num_heads + 1, squeeze=False)
    for axes in panels[1:, 0]:
        axes.remove()
    _draw_panel(panels[0, 0], image, pixel, "image")
    for (layer, head), axes in np.ndenumerate(panels[:, 1:]):
        one = maps[layer, head].reshape(height, width)
        name = f"layer {layer + 1}, head {head + 1}: {one.max():.2g}"
        _draw_panel(axes, one, pixel, name)
    side = max(PANEL, drawing.title_width(panels[:, 1:].flat, TITLE_SIZE))
    drawing.fit(figure, panels, side, side)
    drawing.write_figure(figure, path)
    return figure


def _draw_panel(axes, values, pixel, title):
    drawing.draw_matrix(axes, values)
    axes.plot(pixel[1], pixel[0], "s", ms=3, color="tab:red", fillstyle="none")
    axes.set(xticks=[], yticks=[])
    drawing.set_title(axes, title, TITLE_SIZE)
