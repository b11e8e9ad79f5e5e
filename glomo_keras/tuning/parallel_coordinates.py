"""A search as parallel coordinates: an axis a value, a line a trial."""

import math
import numbers
import pathlib

import numpy as np

MISSING = "-"
SPREAD = 0.02
"""By how much lines through the same tick are put apart, of an axis."""


def plot_parallel_coordinates(rows, columns, score, title=None, path=None):
    """Draws one line for each trial through its values to its score.

    Numbers that span a decade or more are on a logarithmic axis. Columns in
    which all rows agree are left out. Trials without a score are dashed and
    end before the last axis; the best is drawn thickest.

    Args:
        rows: list of dicts, the best first, as of `trial_rows`.
        columns: sequence of keys, the axes from left to right.
        score: string, what the scores are, the name of the last axis; the
            rows have them as `"score"`.
        title: optional string.
        path: optional path to write a picture to.

    Returns:
        A `matplotlib.figure.Figure`, registered nowhere.

    Raises:
        ValueError: no row.

    Example:

    >>> figure = plot_parallel_coordinates(
    ...     [{"units": 4, "score": 0.8}, {"units": 8, "score": 0.7}],
    ...     ["units"], "accuracy")
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['units', 'accuracy']
    """
    from matplotlib.figure import Figure

    if not rows:
        raise ValueError(f"There is no trial to draw. Received: rows={rows}")
    differing = [
        name for name in columns if len({str(row[name]) for row in rows}) > 1
    ]
    axes = [_Axis(name, [row[name] for row in rows]) for name in differing]
    scores = [row["score"] for row in rows if row["score"] is not None]
    if scores:
        axes.append(_Axis(score, scores))
    figure = Figure(
        figsize=(2.2 + 1.6 * max(len(axes), 2), 4.6), layout="constrained"
    )
    canvas = figure.add_subplot()
    _draw_axes(canvas, axes)
    _draw_lines(canvas, axes[: len(differing)], rows, axes[-1] if scores else 0)
    if title:
        canvas.set_title(title, pad=14)
    if path is not None:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    return figure


class _Axis:
    """Where values lie on an axis of height 1, and its ticks."""

    def __init__(self, name, values):
        self.name = name
        self.log = False
        self.places = None
        if all(_is_number(x) for x in values) and len(set(values)) > 1:
            self.lowest, self.highest = min(values), max(values)
            self.log = self.lowest > 0 and self.highest >= 10 * self.lowest
            few = sorted(set(values))
            ticks = few if len(few) <= 6 else self._even_ticks()
        else:
            ticks = sorted({_text(x) for x in values})
            self.places = dict(
                zip(ticks, np.linspace(0, 1, len(ticks) + 2)[1:-1], strict=True)
            )
        self.ticks = [(self.height(x), _text(x)) for x in ticks]

    def height(self, value):
        if self.places is not None:
            return self.places[_text(value)]
        low, high = self.lowest, self.highest
        if self.log:
            low, high, value = (math.log(x) for x in (low, high, value))
        return (value - low) / (high - low)

    def _even_ticks(self):
        if self.log:
            return np.geomspace(self.lowest, self.highest, 5)
        return np.linspace(self.lowest, self.highest, 5)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _text(value):
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def _draw_axes(canvas, axes):
    for index, axis in enumerate(axes):
        canvas.axvline(index, color="0.6", linewidth=1, zorder=1)
        for height, text in axis.ticks:
            canvas.annotate(
                text,
                (index, height),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                zorder=4,
                bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.5, "lw": 0},
            )
    labels = [f"{axis.name}\n(log)" if axis.log else axis.name for axis in axes]
    canvas.set_xticks(range(len(axes)), labels)
    canvas.set_yticks([])
    canvas.set_xlim(-0.2, max(len(axes) - 1, 1) + 0.4)
    canvas.set_ylim(-0.06, 1.06)
    canvas.spines[:].set_visible(False)
    canvas.tick_params(axis="x", length=0)


def _draw_lines(canvas, axes, rows, scores):
    from matplotlib import colormaps

    # Rows of the same value lie beside each other, not on each other.
    shifts = np.linspace(-SPREAD, SPREAD, len(rows)) if len(rows) > 1 else [0]
    for rank in reversed(range(len(rows))):
        row = rows[rank]
        heights = [axis.height(row[axis.name]) + shifts[rank] for axis in axes]
        style = {"color": "0.5", "linestyle": "--", "linewidth": 1}
        if row["score"] is not None:
            height = scores.height(row["score"])
            heights.append(height)
            style = {
                # The palest yellow is hard to see on white.
                "color": colormaps["viridis"](0.9 * (1 - height)),
                "linewidth": 3 if rank == 0 else 1.5,
            }
        canvas.plot(range(len(heights)), heights, zorder=3, **style)
