"""The logs of all epochs as one CSV file."""

import csv

from glomo_keras.utils.files import atomic_file


def write_history(path, rows):
    """Writes one line per epoch.

    Args:
        path: The CSV file; it is replaced whole.
        rows: List of dicts of column names to numbers. The columns are those
            of any row, in the order in which they first appear; a row
            without one leaves it empty.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(path):
    """Reads what `write_history` wrote, as dicts of floats."""
    with open(path, encoding="utf-8", newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
