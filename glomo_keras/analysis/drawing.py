"""Helpers of all pictures: figures that fit, matrices, labels, files.

The pictures use matplotlib without pyplot, which chooses a window system and
keeps every figure.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from glomo_keras.analysis.labels import drawable
from glomo_keras.analysis.labels import font_families

DPI = 150
TITLE_SIZE, TEXT_SIZE, TICK_SIZE = 11, 9, 8  # points
LINE = 1.45  # height of a line of text over the size of its font
CHARACTER = 0.6  # width of a character over the size of its font, on average
START = 4.0  # inches, before the figure is fitted


def font(size):
    return FontProperties(family=list(font_families()), size=size)


def blank_figure(title=None):
    """Returns a figure whose layout is matplotlib's constrained one."""
    figure = Figure((START, START), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches
    if title:
        # Wrapping reads "$" as mathematics, even with `parse_math=False`.
        text = drawable(title, keep=" \n").replace("$", r"\$")
        figure.suptitle(text, wrap=True, fontproperties=font(TITLE_SIZE))
    return figure


def fit(figure, panels, width, height):
    """Resizes a figure until each panel has this size in inches.

    The texts around the panels keep their sizes, so that the figure grows
    with the panels: two rounds come close enough.

    Args:
        figure: figure with constrained layout.
        panels: array `(rows, columns)` of axes, all of the same size.
        width: float, inches.
        height: float, inches.
    """
    rows, columns = panels.shape
    for _ in range(2):
        figure.draw_without_rendering()
        box = panels[0, -1].get_window_extent()
        now = np.array([box.width, box.height]) / figure.dpi
        missing = (np.array([width, height]) - now) * (columns, rows)
        figure.set_size_inches(figure.get_size_inches() + missing)


def draw_matrix(axes, matrix, highest=None):
    """Draws a matrix, palest at 0 and darkest at `highest`."""
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set(color="0.6", linewidth=0.5)
    return axes.imshow(
        matrix,
        cmap="Blues",
        vmin=0,
        vmax=highest or np.max(matrix) or 1.0,
        aspect="auto",
        interpolation="nearest",
    )


def label_axis(axis, labels, size, **kwargs):
    """Writes a label at each cell of `axes.xaxis` or `axes.yaxis`."""
    axis.set_ticks(
        range(len(labels)),
        labels,
        fontproperties=font(size),
        parse_math=False,
        **kwargs,
    )


def title_width(panels, size):
    """Estimates the width of the longest title of some axes in inches."""
    longest = max(len(axes.get_title()) for axes in panels)
    return CHARACTER * size / 72 * longest


def set_title(axes, title, size):
    axes.set_title(title, fontproperties=font(size), pad=3, parse_math=False)


def add_colour_bar(figure, image, panels):
    """Adds a bar that shows which colour is which edge weight."""
    bar = figure.colorbar(image, ax=panels, aspect=30, pad=0.03)
    bar.ax.locator_params(nbins=5)
    bar.ax.tick_params(labelsize=TICK_SIZE, length=2)
    bar.outline.set(color="0.6", linewidth=0.5)
    bar.set_label("edge weight", fontproperties=font(TEXT_SIZE))


def write_figure(figure, path):
    """Writes a figure to one path, several or None; makes their folders."""
    if path is None:
        return
    paths = [path] if isinstance(path, str | os.PathLike) else path
    for item in map(Path, paths):
        item.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(item)
