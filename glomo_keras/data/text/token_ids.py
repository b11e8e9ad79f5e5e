"""Pass 2 of a corpus: shards to one array of vocabulary ids on disk."""

import collections
import contextlib
import os
import warnings

import numpy as np

from glomo_keras.data.text import cache_files
from glomo_keras.data.text import vocabulary as vocabulary_lib

ID_FILES = ("vocabulary.txt", "token_ids.npy", "text_lengths.npy")


def write_ids(shards, vocabulary, vocabulary_size):
    """Map the shards to one file of ids, unless it is there and good.

    Args:
        shards: complete `TokenShards`.
        vocabulary: list of str, or None: count the words.
        vocabulary_size: int, used when they are counted.

    Returns:
        str, the folder that holds `ID_FILES` and a `manifest.json`.
    """
    name = f"ids-{vocabulary_size}"
    if vocabulary is not None:
        name = f"ids-{vocabulary_lib.vocabulary_digest(vocabulary)}"
    folder = os.path.join(shards.folder, name)
    if _ids_are_good(folder):
        return folder
    os.makedirs(folder, exist_ok=True)
    if vocabulary is None:
        counts = _count_words(shards)
        vocabulary = vocabulary_lib.build_vocabulary(counts, vocabulary_size)
    paths = [os.path.join(folder, name) for name in ID_FILES]
    with cache_files.replacing(paths[0]) as temporary:
        vocabulary_lib.write_vocabulary(temporary, vocabulary)
    with cache_files.replacing(paths[1]) as temporary:
        num_unknown = _map_ids(shards, vocabulary, temporary)
    with cache_files.replacing(paths[2]) as temporary:
        np.save(temporary, _text_lengths(shards))
    manifest = {
        "num_words": sum(r["num_words"] for r in shards.records),
        "num_unknown": num_unknown,
        "files": [cache_files.describe_file(path) for path in paths],
    }
    cache_files.write_json(os.path.join(folder, "manifest.json"), manifest)
    return folder


def _ids_are_good(folder):
    path = os.path.join(folder, "manifest.json")
    manifest = cache_files.read_json(path)
    if manifest is None:
        return False
    before = [dict(record) for record in manifest["files"]]
    faults = [cache_files.find_fault(folder, r) for r in manifest["files"]]
    if before != manifest["files"]:
        with contextlib.suppress(OSError):
            cache_files.write_json(path, manifest)
    for record, fault in zip(manifest["files"], faults, strict=True):
        if fault is not None:
            warnings.warn(
                f"{os.path.join(folder, record['file'])} {fault}: "
                "rebuilding it from the shards.",
                stacklevel=2,
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
    """Write all ids in one array on disk; return how many are unknown."""
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
