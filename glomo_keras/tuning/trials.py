"""Who runs the trials of a search; trials as a table, and as a picture."""

import math
import numbers
import os
import pathlib

import numpy as np

HEAD = ["trial", "status", "score", "epoch"]
MISSING = "-"
SPREAD = 0.02
"""Share of an axis over which lines through one value are spread."""


def is_worker():
    """Returns whether another process, the chief, keeps the trials.

    KerasTuner's own environment variable says so.
    """
    return "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "chief")


def trial_table(tuner):
    """Returns a row for each trial, the best first and failed ones last.

    Args:
        tuner: A tuner of `make_tuner`, not a worker's.

    Returns:
        `pandas.DataFrame` with the columns `trial`, `status`, `score` (NaN if
        it has none), `epoch` (that of the score, from 1), the values of the
        hyperparameters (None where they do not apply) and `error`, the last
        line of a failed trial's traceback.
    """
    import pandas

    oracle = tuner.oracle
    names = list(dict.fromkeys(hp.name for hp in oracle.get_space().space))
    rows = [_row(trial, names) for _, trial in sorted(oracle.trials.items())]
    table = pandas.DataFrame(rows, columns=[*HEAD, *names, "error"])
    table = table.astype({"score": "float64", "epoch": "Int64"})
    for name in names:  # whole numbers stay whole next to None
        table[name] = table[name].astype(object)
    smallest_first = oracle.objective.direction == "min"
    return table.sort_values(
        "score", ascending=smallest_first, kind="stable", ignore_index=True
    )


def _row(trial, names):
    values = trial.hyperparameters.values
    scored = trial.status == "COMPLETED"
    first = values.get("tuner/initial_epoch", 0) + 1  # Hyperband goes on
    error = (trial.message or "").strip().splitlines()
    if trial.status == "FAILED" and not error:
        error = [f"score {trial.score}"]
    return {
        "trial": trial.trial_id,
        "status": trial.status,
        "score": trial.score if scored else None,
        "epoch": first + trial.best_step if scored else None,
        **{name: values.get(name) for name in names},
        "error": error[-1] if error else None,
    }


def plot_trials(table, objective, title=None, path=None):
    """Draws one line for each trial through its values to its score.

    Every hyperparameter is an axis with its values at equal distances; those
    that are the same in all trials are left out. Trials without a score are
    dashed and end before the last axis; the best is drawn thickest.

    Args:
        table: `pandas.DataFrame` of `trial_table`.
        objective: The name of the score, for the last axis.
        title: Title. Defaults to None.
        path: Path to write a picture to. Defaults to None.

    Returns:
        A `matplotlib.figure.Figure`, registered nowhere.

    Raises:
        ValueError: If there is no trial.
    """
    from matplotlib.figure import Figure

    if not len(table):
        raise ValueError("There is no trial to draw. Received: an empty table")
    texts = table.drop(columns=[*HEAD, "error"]).map(_text)
    texts = texts.loc[:, texts.nunique() > 1]
    width = 2.2 + 1.6 * max(texts.shape[1] + 1, 2)
    figure = Figure(figsize=(width, 4.6), layout="constrained")
    canvas = figure.add_subplot()
    heights = np.stack(
        [_draw_axis(canvas, i, table[x]) for i, x in enumerate(texts)]
        + [_draw_score(canvas, texts.shape[1], table["score"])],
        axis=1,
    )
    _draw_lines(canvas, heights)
    canvas.set_xticks(range(texts.shape[1] + 1), [*texts, objective])
    canvas.set_yticks([])
    canvas.set_xlim(-0.2, max(texts.shape[1], 1) + 0.4)
    canvas.spines[:].set_visible(False)
    if title:
        canvas.set_title(title, pad=14)
    if path is not None:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    return figure


def _text(value):
    if value is None or value != value:
        return MISSING
    if isinstance(value, numbers.Real) and not isinstance(value, int):
        return f"{value:.3g}"
    return str(value)


def _draw_axis(canvas, place, values):
    """Draws the axis of a hyperparameter; returns the heights of its values."""
    numeric = [x for x in values if isinstance(x, numbers.Real)]
    ordered = sorted(set(numeric)) if len(numeric) == len(values) else []
    names = [_text(x) for x in ordered] or sorted({_text(x) for x in values})
    heights = dict(zip(names, np.linspace(0, 1, len(names)), strict=True))
    _draw_ticks(canvas, place, heights.values(), heights)
    return np.array([heights[_text(x)] for x in values])


def _draw_score(canvas, place, scores):
    """Draws the axis of the scores; returns their heights, NaN if missing."""
    lowest, highest = scores.min(), scores.max()
    if math.isnan(lowest):
        return np.full(len(scores), np.nan)
    if lowest == highest:
        _draw_ticks(canvas, place, [1.0], [f"{lowest:.4g}"])
        return np.where(scores.isna(), np.nan, 1.0)
    ticks = np.linspace(0, 1, 5)
    names = [f"{lowest + (highest - lowest) * x:.4g}" for x in ticks]
    _draw_ticks(canvas, place, ticks, names)
    return ((scores - lowest) / (highest - lowest)).to_numpy()


def _draw_ticks(canvas, place, heights, names):
    canvas.axvline(place, color="0.6", linewidth=1, zorder=1)
    box = {"facecolor": "white", "alpha": 0.75, "pad": 0.5, "linewidth": 0}
    for height, name in zip(heights, names, strict=True):
        canvas.text(place + 0.03, height, name, va="center", bbox=box)


def _draw_lines(canvas, heights):
    """Draws the trials, `(trials, axes)`, the best last and on top."""
    from matplotlib import colormaps

    count = len(heights)
    shifts = np.linspace(-SPREAD, SPREAD, count) if count > 1 else [0]
    for rank in reversed(range(count)):
        line = heights[rank] + shifts[rank]
        line[-1] = heights[rank, -1]  # scores are shown as they are
        style = {"color": "0.5", "linestyle": "--", "linewidth": 1}
        if not math.isnan(line[-1]):
            # Half of the palette: the palest yellow is hard to see on white.
            color = colormaps["viridis"](0.9 * rank / count)
            style = {"color": color, "linewidth": 3 if rank == 0 else 1.5}
        canvas.plot(range(len(line)), line, zorder=3, **style)
