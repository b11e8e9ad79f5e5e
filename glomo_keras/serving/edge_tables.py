"""Edges of texts, and the texts, as Parquet files."""

import os

import numpy as np

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files

EDGES = "edges"
DOCUMENTS = "documents"


def import_pyarrow():
    """Returns the package.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Tables of edges need the package pyarrow: "
            "pip install 'glomo-keras[parquet]'"
        ) from error
    return pyarrow


def write_tables(folder, name, documents, edges):
    """Writes the two tables of a shard.

    Args:
        folder: str, where the folders `edges` and `documents` are.
        name: str, of the shard.
        documents: List of `Document`.
        edges: Dict of arrays of one length, see `EdgeModel.edges`.

    Returns:
        List of the records of the files, see `PartFiles`. The words are
        counted in that of the documents alone.
    """
    num_words = sum(len(document.token_ids) for document in documents)
    return [
        _write(folder, EDGES, name, _edge_table(documents, edges), 0),
        _write(folder, DOCUMENTS, name, _document_table(documents), num_words),
    ]


def _write(folder, kind, name, table, num_words):
    pyarrow = import_pyarrow()
    os.makedirs(os.path.join(folder, kind), exist_ok=True)
    file = os.path.join(kind, f"{kind}-{name}.parquet")
    path = os.path.join(folder, file)
    with files.atomic_path(path, shared=True) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    record = {**files.file_record(path), "file": file, "rows": len(table)}
    return {**record, "num_words": num_words}


def _document_table(documents):
    pyarrow = import_pyarrow()
    number, string = pyarrow.int32(), pyarrow.string()
    offsets = [document.token_offsets for document in documents]
    columns = {
        "document": ([document.name for document in documents], string),
        "file": ([document.file for document in documents], string),
        "text": ([document.text for document in documents], string),
        "num_words": ([len(place) for place in offsets], number),
        "word_starts": ([p[:, 0] for p in offsets], pyarrow.list_(number)),
        "word_ends": ([p[:, 1] for p in offsets], pyarrow.list_(number)),
    }
    return pyarrow.table(
        {name: pyarrow.array(*column) for name, column in columns.items()}
    )


def _edge_table(documents, edges):
    pyarrow = import_pyarrow()
    names = [document.name for document in documents]
    columns = {"document": _categories(edges["document"], names)}
    lengths = [len(document.token_ids) for document in documents]
    firsts = np.cumsum([0, *lengths[:-1]])[edges["document"]]
    offsets = np.concatenate(
        [np.zeros((0, 2), "int32")]
        + [document.token_offsets for document in documents]
    )  # (words, 2)
    word_numbers, words = _word_numbers(documents)
    for end in ("source", "receiver"):
        places = firsts + edges[end]
        columns[end] = edges[end]
        columns[f"{end}_start"] = offsets[places, 0]
        columns[f"{end}_end"] = offsets[places, 1]
        columns[f"{end}_word"] = _categories(word_numbers[places], words)
    columns["weight"] = edges["weight"].astype("float32")
    columns["excess"] = edges["excess"].astype("float32")
    columns["layer"] = edges["layer"]
    columns["head"] = edges["head"]
    columns["direction"] = _categories(edges["direction"], DIRECTIONS)
    return pyarrow.table(columns)


def _word_numbers(documents):
    """Returns numbers for the words of all documents, and the word list."""
    numbers, words = [], {}
    for document in documents:
        for start, end in document.token_offsets.tolist():
            word = document.text[start:end]
            numbers.append(words.setdefault(word, len(words)))
    return np.array(numbers, "int32"), list(words)


def _categories(numbers, names):
    """Returns a column of strings, each of them stored once."""
    pyarrow = import_pyarrow()
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(numbers, "int32"),
        pyarrow.array(list(names), pyarrow.string()),
    )
