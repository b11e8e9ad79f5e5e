"""Files of a cache on disk: written as a whole or not at all, and checked."""

import contextlib
import hashlib
import json
import os


def digest(value):
    """Return a short hexadecimal digest of a JSON-like value."""
    data = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path that replaces `path` when the block succeeds.

    Args:
        path: str.

    Yields:
        str, a path in the same folder, with the same ending.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{os.getpid()}.{name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def write_json(path, value):
    """Write a JSON file as a whole or not at all."""
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)


def read_json(path):
    """Return the content of a JSON file, or None if it is missing or bad."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def describe_file(path):
    """Return the record by which `find_fault` knows a file again."""
    status = os.stat(path)
    return {
        "file": os.path.basename(path),
        "num_bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": _sha256(path),
    }


def find_fault(folder, record):
    """Check a file against its record.

    Its size is compared always; its content when its time of change is not
    the one at which it was last found good. In that case a good file's new
    time goes into the record.

    Args:
        folder: str.
        record: dict made by `describe_file`.

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
    if _sha256(path) != record["sha256"]:
        return "has another content than was written"
    record["mtime_ns"] = status.st_mtime_ns
    return None


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
