"""What became of the trials of a search, as rows, a CSV and a table."""

import csv
import json
import pathlib

from glomo_keras.utils.files import atomic_file

OUTCOME = "outcome.json"
HEAD = ("trial", "status", "score", "epoch", "seconds", "worker")
"""The columns that come first; the values follow, `error` is last."""


def trial_rows(tuner):
    """One row for each trial, the best first and failed ones last.

    Args:
        tuner: one of `make_tuner`, not a worker's.

    Returns:
        List of dicts: `trial`, `status`, `score` (None if it has none),
        `epoch` (that of the score, from 1), `seconds`, `worker`, the values of
        its hyperparameters (None where they do not apply) and `error`, the
        last line of a failed trial's traceback.
    """
    oracle = tuner.oracle
    names = dict.fromkeys(hp.name for hp in oracle.get_space().space)
    rows = [_row(trial, names, tuner) for trial in oracle.trials.values()]
    sign = -1 if oracle.objective.direction == "max" else 1

    def rank(row):
        missing = row["score"] is None
        return missing, 0 if missing else sign * row["score"], row["trial"]

    return sorted(rows, key=rank)


def _row(trial, names, tuner):
    outcome = {"seconds": None, "worker": None, "error": None}
    path = pathlib.Path(tuner.get_trial_dir(trial.trial_id)) / OUTCOME
    if path.exists() and trial.status in ("COMPLETED", "FAILED"):
        outcome |= json.loads(path.read_text(encoding="utf-8"))
    scored = trial.status == "COMPLETED"
    values = trial.hyperparameters.values
    first = values.get("tuner/initial_epoch", 0) + 1  # Hyperband goes on
    error = (outcome["error"] or "").strip().splitlines()
    if trial.status == "FAILED" and not error:
        error = [f"score {trial.score}"]
    return {
        "trial": trial.trial_id,
        "status": trial.status,
        "score": trial.score if scored else None,
        "epoch": first + trial.best_step if scored else None,
        "seconds": outcome["seconds"],
        "worker": outcome["worker"],
        **{name: values.get(name) for name in names},
        "error": error[-1] if error else None,
    }


def write_rows(rows, path):
    """Writes rows as CSV; None as an empty field.

    Args:
        rows: list of dicts of the same keys, at least one.
        path: path.
    """
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def format_rows(rows):
    """Rows as the text of a table, an error below the row it belongs to.

    Args:
        rows: list of dicts of the same keys, at least one.

    Returns:
        String of several lines.

    Example:

    >>> print(format_rows([{"trial": "0", "score": 0.51, "error": None},
    ...                    {"trial": "1", "score": None, "error": "no"}]))
    trial  score
    0      0.5100
    1      -
           no
    """
    names = [name for name in rows[0] if name != "error"]
    cells = [names] + [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            x.ljust(n) for x, n in zip(line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]
    for row, line in zip(reversed(rows), range(len(rows), 0, -1), strict=True):
        if row.get("error"):
            lines.insert(line + 1, " " * (widths[0] + 2) + row["error"])
    return "\n".join(lines)


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if 0.001 <= abs(value) < 10 else f"{value:.4g}"
    return str(value)
