"""The records of runs that the page is made of, from folders or files."""

import json
import pathlib

from glomo_keras.utils import files
from recipes.evidence.runs import TASKS
from recipes.graphs import transfer_perplexity


def read(paths):
    """Reads the records of all runs.

    Args:
        paths: list of folders, with folders of runs and runs.csv of
            `recipes.graphs.transfer_perplexity` and `recipes.graphs.ablations`
            below them, and of files that `write` wrote.

    Returns:
        List of dict, without duplicates: a run has `name`, `config`, `data` and
        `metrics` (`{}` if it is not finished); a measured perplexity has
        `name` and `measured`, its row of runs.csv.

    Raises:
        ValueError: If a path is neither.
    """
    found = {}
    for path in paths:
        if path.is_dir():
            records = [*read_runs(path), *read_measured(path)]
        elif path.is_file():
            lines = path.read_text("utf-8").splitlines()
            records = [json.loads(line) for line in lines]
        else:
            raise ValueError(
                "--runs has folders of runs, and files evidence.jsonl. "
                f"Received: {path}"
            )
        others = [record for record in records if is_other(record)]
        if others:
            name, recipe = others[0]["name"], others[0]["config"].get("recipe")
            print(
                f"{path}: {len(others)} runs of no known task are left out, "
                f"such as {name} of {recipe}"
            )
        for record in records:
            if is_other(record):
                continue
            key = json.dumps({**record, "name": None}, sort_keys=True)
            found.setdefault(key, record)
    return list(found.values())


def is_other(record):
    """Returns whether a record is that of a run of no task."""
    return "config" in record and record["config"].get("recipe") not in TASKS


def read_runs(folder):
    """Yields the records of the runs below a folder."""
    for path in sorted(folder.rglob("seed-*/config.json")):
        record = {"name": str(path.parent.relative_to(folder))}
        for part in ("config", "data", "metrics"):
            file = path.with_name(f"{part}.json")
            record[part] = files.read_json(file) if file.exists() else {}
        record["config"] = without_places(record["config"])
        yield record


def read_measured(folder):
    """Yields the records of measured perplexities below a folder."""
    for path in sorted(folder.rglob("runs.csv")):
        name = str(path.parent.relative_to(folder))
        for row in transfer_perplexity.read_rows(path):
            if row.get("settings"):
                settings = without_places(json.loads(row["settings"]))
                row["settings"] = json.dumps(settings, sort_keys=True)
                yield {"name": name, "measured": row}


def without_places(options):
    """Returns options whose absolute paths are cut to their last part."""
    return {
        name: [last_part(x) for x in value]
        if isinstance(value, list)
        else last_part(value)
        for name, value in options.items()
    }


def last_part(value):
    """Returns the last part of an absolute path, other values as they are."""
    if isinstance(value, dict):
        return without_places(value)
    if isinstance(value, str) and value.startswith("/"):
        return pathlib.PurePath(value).name
    return value


def write(records, path):
    """Writes the records of what is finished, one a line."""
    with files.atomic_file(path) as file:
        for record in records:
            if record.get("metrics", True):
                file.write(json.dumps(record) + "\n")
