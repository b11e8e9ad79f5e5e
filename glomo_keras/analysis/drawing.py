"""Parts that the pictures share: axes placed in inches, colours, files.

Everything goes through the object interface of matplotlib: no pyplot, no
global state, no display.
"""

import os
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.ticker import MaxNLocator

from glomo_keras.analysis.labels import DPI
from glomo_keras.analysis.labels import drawable
from glomo_keras.analysis.labels import font
from glomo_keras.analysis.labels import text_sizes

FORMATS = (".png", ".svg", ".pdf")
COLOURS = "Blues"
BAR_LABEL = "edge weight"
TITLE_SIZE, TEXT_SIZE, TICK_SIZE = 11, 9, 8  # points
MARGIN, BAR_WIDTH, BAR_MIN_HEIGHT, BAR_TEXT = 0.12, 0.14, 1.2, 0.75  # inches
TICK_PAD, LABEL_PAD = 3, 4  # points


def checked_paths(path):
    """The paths to write to, as a list.

    Args:
        path: None, one path, or a sequence of paths.

    Raises:
        ValueError: if a suffix is none of .png, .svg, .pdf.
    """
    if path is None:
        return []
    single = isinstance(path, str | os.PathLike)
    paths = [Path(item) for item in ([path] if single else path)]
    for item in paths:
        if item.suffix.lower() not in FORMATS:
            raise ValueError(
                f"`path` must end in one of {FORMATS}. Received: path={item}"
            )
    return paths


def write_figure(figure, paths):
    """Writes the figure to each of the paths; makes missing folders."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def blank_figure(width, height):
    """A white figure of this size in inches."""
    return Figure(figsize=(width, height), dpi=DPI, facecolor="white")


def add_axes(figure, left, top, width, height):
    """Axes at a place in inches, `top` counted from the upper edge."""
    full_width, full_height = figure.get_size_inches()
    bottom = full_height - top - height
    return figure.add_axes(
        (
            left / full_width,
            bottom / full_height,
            width / full_width,
            height / full_height,
        )
    )


def draw_matrix(axes, matrix, highest):
    """The matrix as cells, palest at 0 and darkest at `highest`."""
    axes.tick_params(length=0, pad=TICK_PAD)
    for spine in axes.spines.values():
        spine.set(color="0.6", linewidth=0.5)
    return axes.imshow(
        matrix,
        cmap=COLOURS,
        vmin=0,
        vmax=highest,
        aspect="auto",
        interpolation="nearest",
    )


def draw_cell_lines(axes, num_rows, num_columns):
    """Thin lines between the cells, for the eye to follow."""
    axes.set_yticks(np.arange(1, num_rows) - 0.5, minor=True)
    axes.set_xticks(np.arange(1, num_columns) - 0.5, minor=True)
    axes.grid(which="minor", color="0.88", linewidth=0.4)
    axes.tick_params(which="minor", length=0)


def label_rows(axes, labels, size):
    """Writes a label at every row."""
    axes.set_yticks(
        range(len(labels)),
        labels,
        fontproperties=font(size),
        parse_math=False,
    )


def label_columns(axes, labels, size, rotation):
    """Writes a label under every column."""
    axes.set_xticks(
        range(len(labels)),
        labels,
        fontproperties=font(size),
        parse_math=False,
        rotation=rotation,
    )


def add_colour_bar(figure, image, left, top, height):
    """A colour bar with its label, `height` inches high."""
    axes = add_axes(figure, left, top, BAR_WIDTH, height)
    bar = figure.colorbar(
        image,
        cax=axes,
        ticks=MaxNLocator(5),
        format=FuncFormatter(lambda value, _: f"{value:.3g}"),
    )
    bar.ax.tick_params(labelsize=TICK_SIZE, length=2)
    bar.outline.set(color="0.6", linewidth=0.5)
    bar.set_label(BAR_LABEL, fontproperties=font(TEXT_SIZE))
    return bar


def wrapped_title(title, width):
    """A title on as many lines as fit into `width` inches, and its size.

    Returns:
        The text, its width and its height in inches; `("", 0, 0)` for none.
    """
    if not title:
        return "", 0.0, 0.0
    text = drawable(title, keep=" \n")
    ((one_line, _),) = text_sizes([text.replace("\n", " ")], TITLE_SIZE)
    characters = max(10, int(len(text) * min(1.0, width / one_line)))
    lines = [textwrap.fill(line, characters) for line in text.splitlines()]
    wrapped = "\n".join(lines)
    ((text_width, height),) = text_sizes([wrapped], TITLE_SIZE)
    return wrapped, text_width, height


def add_title(figure, text):
    """The title, centred at the upper edge."""
    height = figure.get_size_inches()[1]
    figure.text(
        0.5,
        1 - MARGIN / height,
        text,
        fontproperties=font(TITLE_SIZE),
        horizontalalignment="center",
        verticalalignment="top",
        parse_math=False,
    )
