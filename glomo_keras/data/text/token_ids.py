"""Pass 2 of a corpus: shards to one array of vocabulary ids on disk."""

import collections
import contextlib
import os
import warnings

import numpy as np

from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.utils import files

ID_FILES = ("vocabulary.txt", "token_ids.npy", "text_lengths.npy")


def write_ids(shards, vocabulary, vocabulary_size):
    """Maps the shards to one file of ids, unless it is there and good.

    Args:
        shards: Complete `TokenShards`.
        vocabulary: List of str, or None to count the words.
        vocabulary_size: int, used when they are counted.

    Returns:
        str, the folder that holds `ID_FILES` and a `manifest.json`.
    """
    name = vocabulary_size if vocabulary is None else files.digest(vocabulary)
    folder = os.path.join(shards.folder, f"ids-{name}")
    if _ids_are_good(folder):
        return folder
    os.makedirs(folder, exist_ok=True)
    if vocabulary is None:
        counts = _count_words(shards)
        vocabulary = vocabulary_lib.build_vocabulary(counts, vocabulary_size)
    paths = [os.path.join(folder, name) for name in ID_FILES]
    vocabulary_lib.write_vocabulary(paths[0], vocabulary)
    with files.atomic_path(paths[1], shared=True) as temporary:
        num_unknown = _map_ids(shards, vocabulary, temporary)
    with files.atomic_file(paths[2], "wb", shared=True) as file:
        np.save(file, _text_lengths(shards))
    manifest = {
        "num_words": sum(r["num_words"] for r in shards.records),
        "num_unknown": num_unknown,
        "tokenizer": shards.tokenizer.get_config(),
        "files": [files.file_record(path) for path in paths],
    }
    path = os.path.join(folder, "manifest.json")
    files.write_json(path, manifest, shared=True)
    return folder


def _ids_are_good(folder):
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


def _count_words(shards):
    counts = collections.Counter()
    for index in range(len(shards.records)):
        shard = shards.load(index)
        for word, count in zip(
            shard["types"], shard["counts"].tolist(), strict=True
        ):
            counts[word.decode()] += count
    return counts


def _map_ids(shards, vocabulary, path):
    """Writes all ids to one array on disk; returns how many are unknown."""
    table = {word.encode(): number for number, word in enumerate(vocabulary)}
    unknown = vocabulary_lib.UNKNOWN_ID
    dtype = "uint16" if len(vocabulary) <= 1 << 16 else "int32"
    num_words = sum(record["num_words"] for record in shards.records)
    output = np.lib.format.open_memmap(path, "w+", dtype, (num_words,))
    place, num_unknown = 0, 0
    for index in range(len(shards.records)):
        shard = shards.load(index)
        numbers = [table.get(word, unknown) for word in shard["types"]]
        ids = np.array(numbers, dtype=dtype)[shard["token_ids"]]
        output[place : place + len(ids)] = ids
        place += len(ids)
        num_unknown += int(np.count_nonzero(ids == unknown))
    output.flush()
    return num_unknown


def _text_lengths(shards):
    lengths = [
        shards.load(index)["text_lengths"]
        for index in range(len(shards.records))
    ]
    return np.concatenate(lengths)
