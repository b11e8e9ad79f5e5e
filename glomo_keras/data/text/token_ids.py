"""Pass 2 of a corpus: turns shards into one array of ids on disk."""

import collections
import contextlib
import functools
import os
import uuid
import warnings

import numpy as np

from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.token_shards import load_shard
from glomo_keras.utils import files

ID_FILES = ("vocabulary.txt", "token_ids.npy", "text_lengths.npy")


def write_ids(
    folder, records, tokenizer_config, vocabulary, vocabulary_size, workers
):
    """Maps the shards to one file of ids, unless a good one exists.

    Args:
        folder: str, of the shards.
        records: List of the records of all shards, see `ShardWriter`.
        tokenizer_config: Dict of the options of the `WordTokenizer`.
        vocabulary: List of str, or None to count the words.
        vocabulary_size: int, used when they are counted.
        workers: `Workers`.

    Returns:
        str, the folder that holds `ID_FILES` and a `manifest.json`.
    """
    path = ids_folder(folder, vocabulary, vocabulary_size)
    if ids_are_good(path):
        return path
    if vocabulary is None:
        counts = collections.Counter()
        shards = ((record, folder) for record in records)
        for _, counted in workers.calls(count_words, shards):
            counts.update(counted)
        vocabulary = vocabulary_lib.build_vocabulary(counts, vocabulary_size)
    writer = IdsWriter(folder, path, vocabulary)
    writer.start(records)
    shards = (
        (record, *place)
        for record, place in zip(records, places(records), strict=True)
    )
    num_unknown = sum(n for _, n in workers.calls(writer.write, shards))
    writer.finish(records, num_unknown, tokenizer_config)
    return path


def ids_folder(folder, vocabulary, vocabulary_size):
    """Returns the folder of the ids, str; see `write_ids`."""
    name = vocabulary_size if vocabulary is None else files.digest(vocabulary)
    return os.path.join(folder, f"ids-{name}")


def count_words(record, folder):
    """Returns how often each word of a shard occurs, dict of str to int."""
    shard = load_shard(folder, record)
    words = (word.decode() for word in shard["types"])
    return dict(zip(words, shard["counts"].tolist(), strict=True))


def places(records):
    """Returns where each shard begins: pairs of its first word and text."""
    firsts, words, texts = [], 0, 0
    for record in records:
        firsts.append((words, texts))
        words += record["num_words"]
        texts += record["num_texts"]
    return firsts


class IdsWriter:
    """Maps shards to ids, each in its place in one array on disk.

    Shards may be written in any order, several times, and by several
    processes that share the file system. Memory holds one shard.

    Args:
        folder: str, of the shards.
        ids_folder: str, of the ids.
        vocabulary: List of str.
    """

    def __init__(self, folder, ids_folder, vocabulary):
        self.folder = folder
        self.ids_folder = ids_folder
        self.vocabulary = vocabulary
        self.paths = [os.path.join(ids_folder, name) for name in ID_FILES]
        own = uuid.uuid4().hex[:12]  # other runs may write the same
        self._temporary_paths = [f"{p}.{own}.tmp" for p in self.paths[1:]]

    def start(self, records):
        """Writes the vocabulary, and arrays that are still empty."""
        os.makedirs(self.ids_folder, exist_ok=True)
        files.write_vocabulary(self.paths[0], self.vocabulary)
        wide = len(self.vocabulary) > 1 << 16
        for path, dtype, name in zip(
            self._temporary_paths,
            ("int32" if wide else "uint16", "int64"),
            ("num_words", "num_texts"),
            strict=True,
        ):
            _create_array(path, dtype, sum(r[name] for r in records))

    def write(self, record, first_word, first_text):
        """Writes the ids and the lengths of the texts of a shard.

        Args:
            record: Of the shard.
            first_word, first_text: int, see `places`.

        Returns:
            int, how many words are not in the vocabulary.
        """
        shard = load_shard(self.folder, record)
        unknown = vocabulary_lib.UNKNOWN_ID
        numbers = [self._table.get(word, unknown) for word in shard["types"]]
        ids = np.array(numbers, "int32")[shard["token_ids"]]
        paths = self._temporary_paths
        _write_array(paths[0], first_word, ids)
        _write_array(paths[1], first_text, shard["text_lengths"])
        return int(np.count_nonzero(ids == unknown))

    def finish(self, records, num_unknown, tokenizer_config):
        """Gives the arrays their names and writes `manifest.json`.

        Args:
            records: Of all shards.
            num_unknown: int, the sum of what `write` returned.
            tokenizer_config: See `write_ids`.
        """
        for temporary, path in zip(
            self._temporary_paths, self.paths[1:], strict=True
        ):
            with contextlib.suppress(FileNotFoundError):  # the second time
                os.replace(temporary, path)
        manifest = {
            "num_words": sum(r["num_words"] for r in records),
            "num_unknown": num_unknown,
            "tokenizer": tokenizer_config,
            "files": [files.file_record(path) for path in self.paths],
        }
        path = os.path.join(self.ids_folder, "manifest.json")
        files.write_json(path, manifest, shared=True)

    @functools.cached_property
    def _table(self):
        return {word.encode(): n for n, word in enumerate(self.vocabulary)}


def ids_are_good(folder):
    """Returns whether the ids in a folder are complete; warns of damage."""
    path = os.path.join(folder, "manifest.json")
    manifest = files.read_json_or_none(path)
    if manifest is None:
        return False
    before = [dict(record) for record in manifest["files"]]
    faults = [files.find_fault(folder, r) for r in manifest["files"]]
    if before != manifest["files"]:
        with contextlib.suppress(OSError):  # a cache may be read-only
            files.write_json(path, manifest, shared=True)
    for record, fault in zip(manifest["files"], faults, strict=True):
        if fault is not None:
            warnings.warn(
                f"{os.path.join(folder, record['file'])} {fault}: "
                "rebuilding it from the shards.",
                stacklevel=4,
            )
    return not any(faults)


def _create_array(path, dtype, length):
    """Makes an `.npy` file of zeros."""
    with open(path, "wb") as file:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False}
        np.lib.format.write_array_header_1_0(
            file, header | {"shape": (length,)}
        )
        file.truncate(file.tell() + length * np.dtype(dtype).itemsize)


def _write_array(path, first, values):
    """Writes a slice of an array on disk without mapping it in memory."""
    with open(path, "r+b") as file:
        np.lib.format.read_magic(file)
        *_, dtype = np.lib.format.read_array_header_1_0(file)
        file.seek(first * dtype.itemsize, os.SEEK_CUR)
        file.write(values.astype(dtype).tobytes())
