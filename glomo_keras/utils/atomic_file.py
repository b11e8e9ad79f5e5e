"""Files that are there whole or not at all."""

import contextlib
import os
import pathlib


@contextlib.contextmanager
def atomic_file(path, mode="w"):
    """Opens a file that takes the place of `path` once it is complete.

    What is written goes to `NAME.tmp` beside `path`, which takes the name
    `path` when the block ends without an error. A process killed in between
    leaves the previous file as it was. The temporary name is always the same,
    so that what a killed process leaves is overwritten by the next: one
    process at a time may write a given file.

    Args:
        path: The file to replace.
        mode: `"w"` for UTF-8 text, its line ends kept, or `"wb"`.

    Yields:
        The open temporary file.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with open(temporary, mode, **text) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
