"""Tables: lists of dicts, printed and written as CSV."""

import csv


def print_table(title, rows):
    """Prints rows as aligned columns.

    Args:
        title: string.
        rows: list of dicts with the same keys; numbers get four digits.
    """
    print(f"\n{title}")
    cells = [list(rows[0])] + [[shown(x) for x in r.values()] for r in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(map(str.rjust, line, widths)))


def write_table(path, rows):
    """Writes rows as CSV.

    Args:
        path: `pathlib.Path`; its folder is made.
        rows: list of dicts with the same keys.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def shown(value):
    """A cell as text."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def quantity(outcome, name):
    """What a case measured, or why it failed; empty if it was not run.

    Args:
        outcome: dict as `measure_apart` gives it, or None.
        name: string.
    """
    if outcome is None:
        return ""
    return outcome.get("failed", outcome.get(name, ""))


def ratio(numerator, denominator):
    """The quotient of two numbers; else what stands there instead of one."""
    words = [x for x in (numerator, denominator) if isinstance(x, str)]
    if words:
        return max(words)  # the reason of a failure rather than nothing
    return numerator / denominator


def highest(*values):
    """The highest of those that are numbers; else the first."""
    numbers = [x for x in values if isinstance(x, (int, float))]
    return max(numbers) if numbers else values[0]
