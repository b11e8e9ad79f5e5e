"""Resumable work in parts, each of which leaves files."""

import contextlib
import functools
import json
import os
import shutil
import warnings

import tqdm

from glomo_keras.utils import files
from glomo_keras.utils.workers import Workers

MANIFEST = "manifest.json"
PARTS = "parts"
MOST_NAMED = 10


class PartFiles:
    """Manages the files of work that is done in parts, in one folder.

    A part is done when its record, `parts/part-NUMBER.json`, is there: it is
    written after the files. Once all parts are done, `manifest.json` has their
    records and the folder `parts` goes. Several processes, also of several
    machines with a common file system, may work in the folder: a part that
    two of them do has the same files twice, and each file is replaced as a
    whole.

    Args:
        folder: str; one plan and one set of options each.
        plan: List of JSON values, what each part is. A record of something
            else does not count.

    Attributes:
        records: List of dicts, one for each part, None for those to do.
            `files` has what `files.file_record` says of each file, and its
            share of the words, `num_words`; `broken` lists broken files of
            the source, dicts of `file` and `fault`.
    """

    def __init__(self, folder, plan):
        self.folder = folder
        self.plan = json.loads(json.dumps(plan))
        self.records = [None] * len(plan)
        self._path = os.path.join(folder, MANIFEST)

    def find(self):
        """Checks the files that are there, and warns of damaged ones.

        Returns:
            List of int, the parts that are still to do.
        """
        manifest = files.read_json_or_none(self._path)
        stored = manifest and manifest["parts"]
        if stored is None or len(stored) != len(self.plan):
            stored = [
                files.read_json_or_none(_record_path(self.folder, number))
                for number in range(len(self.plan))
            ]
        before = json.dumps(stored)
        self.records = [
            record if self._is_sound(record, plan) else None
            for record, plan in zip(stored, self.plan, strict=True)
        ]
        missing = [n for n, r in enumerate(self.records) if r is None]
        if not missing and manifest is None:
            self._finish()
        elif not missing and before != json.dumps(stored):
            with contextlib.suppress(OSError):  # a cache may be read-only
                self._finish()
        return missing

    def complete(self, writer, pieces, title=None, workers=None):
        """Does the parts that are still to do.

        Args:
            writer: Object that can be pickled, with a method
                `write(number, pieces, progress)`, which writes the files of a
                part and returns its record.
            pieces: Function of a part's number, which returns what `write`
                takes.
            title: str, of a progress bar of the words. Defaults to None: none
                is shown.
            workers: `Workers`. Defaults to None, this process.

        Raises:
            RuntimeError: If a process was killed.
        """
        missing = self.find()
        if not missing:
            return
        workers = workers or Workers()
        with tqdm.tqdm(
            desc=title,
            unit=" words",
            unit_scale=True,
            delay=0.5,
            disable=title is None,
        ) as bar:
            report = bar.update if workers.count == 1 else None
            written = workers.calls(
                functools.partial(write_part, self.folder, writer),
                ((n, self.plan[n], pieces(n), report) for n in missing),
            )
            for index, record in written:
                self.records[missing[index]] = record
                if report is None:
                    bar.update(sum(f["num_words"] for f in record["files"]))
        self._finish()

    def file_records(self):
        """Returns the records of the files of all parts, in order."""
        return [file for record in self.records for file in record["files"]]

    def warn_of_broken(self, num_sources):
        """Warns of broken files among the sources, if there are any."""
        faults = {}
        for record in self.records:
            for entry in record["broken"]:
                faults.setdefault(entry["file"], entry["fault"])
        if faults:
            named = "\n".join(list(faults.values())[:MOST_NAMED])
            more = len(faults) - MOST_NAMED
            warnings.warn(
                f"{len(faults)} of {num_sources} sources are broken; what "
                f"follows a fault is left out:\n{named}"
                + (f"\nand {more} more" if more > 0 else ""),
                stacklevel=4,
            )

    def _finish(self):
        """Writes `manifest.json` from `records`, of which none is missing."""
        files.write_json(self._path, {"parts": self.records}, shared=True)
        folder = os.path.join(self.folder, PARTS)
        shutil.rmtree(folder, ignore_errors=True)

    def _is_sound(self, record, plan):
        if record is None or record["plan"] != plan:
            return False
        for entry in record["files"]:
            fault = files.find_fault(self.folder, entry)
            if fault is not None:
                warnings.warn(
                    f"{os.path.join(self.folder, entry['file'])} {fault}: "
                    "rebuilding it from the sources.",
                    stacklevel=5,
                )
                return False
        return True


def write_part(folder, writer, number, plan, pieces, progress=None):
    """Writes the files of a part, then its record.

    Args:
        folder: See `PartFiles`.
        writer, pieces: See `PartFiles.complete`.
        number: int, of the part.
        plan: JSON value, what the part is.
        progress: Function of a number of new words, or None. Defaults to
            None.

    Returns:
        Dict, the record.
    """
    record = {"plan": plan, **writer.write(number, pieces, progress)}
    save_record(folder, number, record)
    return record


def save_record(folder, number, record):
    """Records that a part is done, once its files are written."""
    path = _record_path(folder, number)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        files.write_json(path, record, shared=True)
    except FileNotFoundError:
        # A process that has done the last part removes the folder, once.
        os.makedirs(os.path.dirname(path), exist_ok=True)
        files.write_json(path, record, shared=True)


def _record_path(folder, number):
    return os.path.join(folder, PARTS, f"part-{number:05d}.json")
