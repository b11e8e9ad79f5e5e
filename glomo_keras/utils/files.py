"""Files on disk: written whole or not at all, checked; JSON and CSV."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import uuid

HIDDEN_NAMES = (
    "__macosx",
    "__pycache__",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)
"""Names, in lower case, besides those with a leading dot, that are never
data."""


@contextlib.contextmanager
def atomic_path(path, shared=False):
    """Gives a temporary path whose file replaces `path` after the block.

    If the block raises, or the process is killed in it, the previous file
    stays as it was.

    Args:
        path: The file to replace.
        shared: Whether several processes may write the file at the same time.
            Each then has a temporary file of its own, which stays if the
            process is killed. Otherwise the temporary file is always
            `NAME.tmp`, so that the next process overwrites it. Defaults to
            False.

    Yields:
        `pathlib.Path`, next to `path`.
    """
    path = pathlib.Path(path)
    own = f".{uuid.uuid4().hex[:12]}" if shared else ""
    temporary = path.with_name(f"{path.name}{own}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path, mode="w", shared=False):
    """Opens a file that replaces `path` once it is complete.

    Args:
        path: The file to replace.
        mode: `"w"` for UTF-8 text, whose line ends are kept, or `"wb"`.
            Defaults to `"w"`.
        shared: See `atomic_path`. Defaults to False.

    Yields:
        The open temporary file.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with atomic_path(path, shared) as temporary:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def write_json(path, value, default=None, shared=False):
    """Writes a JSON file, whole or not at all.

    Args:
        path: The file to replace.
        value: What `json` can write.
        default: See `json.dumps`. Defaults to None.
        shared: See `atomic_path`. Defaults to False.

    Returns:
        str, the text of the file without its last line break.
    """
    text = json.dumps(value, indent=2, default=default)
    with atomic_file(path, shared=shared) as file:
        file.write(text + "\n")
    return text


def write_csv(path, rows):
    """Writes a table as CSV, whole or not at all.

    Args:
        path: The file to replace.
        rows: List of dicts of column names to values. The columns are those
            of any row, in the order in which they first appear; a row without
            one leaves it empty.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_file(path) as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_text(path):
    """Reads a text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.

    Returns:
        str, its lines ended by `"\\n"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8.
    """
    try:
        return pathlib.Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"Not UTF-8. Received: {path}, {error}") from error


def read_vocabulary(path):
    """Reads a vocabulary file: one token a line, the line number is the id.

    Only `"\\n"` ends a line: tokens may hold any other character that some
    programs take for a line break.

    Args:
        path: str or path.

    Returns:
        List of str.

    Raises:
        ValueError: If the file is not UTF-8.
    """
    with open(path, encoding="utf-8", newline="") as file:
        try:
            text = file.read()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8. Received: {error}"
            ) from error
    return text.removesuffix("\n").split("\n")


def write_vocabulary(path, vocabulary):
    """Writes a vocabulary file, one token a line, whole or not at all.

    Args:
        path: str or path.
        vocabulary: sequence of str.
    """
    with atomic_file(path, shared=True) as file:
        file.writelines(f"{word}\n" for word in vocabulary)


def read_json(path):
    """Reads a JSON file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, or not UTF-8.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        place = ""
        if isinstance(error, UnicodeDecodeError):
            line_breaks = content.count(b"\n", 0, error.start)
            place = f", line {line_breaks + 1},"
        raise ValueError(
            f"{path}{place} is not JSON in UTF-8: {error}. "
            f"Received: {content[:40]!r}"
        ) from error


def read_json_or_none(path):
    """Returns the content of a JSON file, None if it is missing or damaged."""
    try:
        return read_json(path)
    except (FileNotFoundError, ValueError):
        return None


def sha256(path):
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value):
    """Returns 16 hexadecimal digits that identify a value of JSON."""
    data = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def file_record(path):
    """Returns the record by which `find_fault` recognises a file.

    Args:
        path: The file.

    Returns:
        Dict that JSON can hold.
    """
    status = os.stat(path)
    return {
        "file": os.path.basename(path),
        "num_bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": sha256(path),
    }


def find_fault(folder, record):
    """Checks a file against its record.

    The size is always compared; the content only if the file was touched
    since it was last found good. The record of a good file gets the new time.

    Args:
        folder: Where the file lies.
        record: Dict made by `file_record`.

    Returns:
        None if the file is good, else str, what is wrong.
    """
    path = os.path.join(folder, record["file"])
    if not os.path.exists(path):
        return "is missing"
    status = os.stat(path)
    if status.st_size != record["num_bytes"]:
        return f"has {status.st_size} bytes, not {record['num_bytes']}"
    if status.st_mtime_ns == record["mtime_ns"]:
        return None
    if sha256(path) != record["sha256"]:
        return "has another content than was written"
    record["mtime_ns"] = status.st_mtime_ns
    return None


def is_hidden(name):
    """Returns whether a file is not meant as data: `.DS_Store`, `__MACOSX`.

    Args:
        name: str, a name without folders.
    """
    # "~$" marks a document that is open in an office program.
    return name.startswith((".", "~$")) or name.lower() in HIDDEN_NAMES


def files_below(folder):
    """Yields the paths of all files below a folder, in order.

    Links to other folders are followed, into each folder once, but for those
    that hold this one. Hidden files and folders (see `is_hidden`) are left
    out.

    Args:
        folder: The folder.

    Yields:
        str.
    """
    root = os.path.realpath(folder)
    known = {os.path.realpath(parent) for parent, *_ in os.walk(folder)}
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = os.path.join(root, os.path.relpath(parent, folder))
        real = os.path.realpath(parent)
        if real != os.path.normpath(place):  # behind a link
            if real in known or os.path.commonpath([root, real]) == real:
                folders.clear()
                continue
            known.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if not is_hidden(name):
                yield os.path.join(parent, name)
