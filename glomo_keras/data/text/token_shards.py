"""Pass 1 of a corpus: texts to shards of token ids, resumable."""

import os
import warnings

import numpy as np

from glomo_keras.data.text import cache_files

FORMAT = 1


class TokenShards:
    """The tokenised shards of a corpus in one folder.

    A shard is an `.npz` file: `types`, the UTF-8 bytes of its own word types
    joined by line breaks; `counts`, int64, one per type; `token_ids`, int32,
    the words as positions in `types`; `text_lengths`, int64. `manifest.json`
    lists the shards, their checksums and how far each one went in the sources.

    Args:
        folder: str; one corpus and one set of options each.
        corpus: the `Corpus` to read.
        tokenizer: a `WordTokenizer`.
        shard_words: int. A shard is closed once it holds so many words.
    """

    def __init__(self, folder, corpus, tokenizer, shard_words):
        self.folder = folder
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.shard_words = shard_words
        self._manifest_path = os.path.join(folder, "manifest.json")
        self._manifest = cache_files.read_json(self._manifest_path)
        if self._manifest is None:
            self._manifest = {"format": FORMAT, "complete": False, "shards": []}

    @property
    def records(self):
        """List of dicts, one per shard."""
        return self._manifest["shards"]

    def complete(self, progress):
        """Check the shards that are there and write those that are not.

        Args:
            progress: callable, told the number of new words and the place.

        Raises:
            ValueError: if the corpus holds no usable text.
        """
        os.makedirs(self.folder, exist_ok=True)
        self._repair(progress)
        if not self._manifest["complete"]:
            self._append(progress)
        if not self.records:
            raise ValueError(
                "The corpus holds no usable text: every paragraph is empty "
                f"or has fewer than {self.corpus.min_paragraph_words} words. "
                f"Received: {self.corpus.spec!r}"
            )

    def load(self, index):
        """Return the arrays of a shard, `types` as a list of bytes."""
        path = os.path.join(self.folder, self.records[index]["file"])
        with np.load(path) as arrays:
            shard = {name: arrays[name] for name in arrays.files}
        shard["types"] = shard["types"].tobytes().split(b"\n")
        return shard

    def _repair(self, progress):
        """Rebuild the shards that are damaged, each from its own place."""
        before = [dict(record) for record in self.records]
        for index, record in enumerate(self.records):
            fault = cache_files.find_fault(self.folder, record)
            if fault is None:
                continue
            warnings.warn(
                f"{os.path.join(self.folder, record['file'])} {fault}: "
                "rebuilding it from the sources.",
                stacklevel=2,
            )
            start = self.records[index - 1]["end"] if index else (0, 0)
            shard = next(self._read(start, progress), None)
            self._check_rebuilt(shard, record)
            self.records[index] = self._write(index, shard)
        if before != self.records:
            self._save()

    def _check_rebuilt(self, shard, record):
        if shard is None or shard.summary() != {
            name: record[name] for name in ("num_words", "num_texts", "end")
        }:
            raise ValueError(
                "The sources no longer give the shard that was lost. Delete "
                f"the cache and start again. Received: {self.folder}"
            )

    def _append(self, progress):
        start = self.records[-1]["end"] if self.records else (0, 0)
        for shard in self._read(start, progress):
            self.records.append(self._write(len(self.records), shard))
            self._save()
        self._manifest["complete"] = True
        self._save()

    def _read(self, start, progress):
        """Yield shards from a place in the sources on."""
        shard = _Shard()
        for batch in token_batches(self.corpus, self.tokenizer, start):
            shard.add(batch)
            progress(len(batch["ids"]), batch["place"])
            if shard.num_words >= self.shard_words:
                yield shard
                shard = _Shard()
        if shard.num_words:
            yield shard

    def _write(self, index, shard):
        path = os.path.join(self.folder, f"shard-{index:05d}.npz")
        with cache_files.replacing(path) as temporary:
            np.savez(temporary, **shard.arrays())
        return {
            **cache_files.describe_file(path),
            **shard.summary(),
        }

    def _save(self):
        cache_files.write_json(self._manifest_path, self._manifest)


class _Shard:
    """A shard in the making."""

    def __init__(self):
        self.num_words = 0
        self.num_texts = 0
        self.end = None
        self._types = {}
        self._ids = []
        self._lengths = []

    def add(self, batch):
        types = self._types
        numbers = [
            types.setdefault(word, len(types)) for word in batch["types"]
        ]
        ids = np.array(numbers, dtype="int32")[batch["ids"]]
        self._ids.append(ids)
        self._lengths.append(batch["lengths"])
        self.num_words += len(ids)
        self.num_texts += len(batch["lengths"])
        self.end = [int(number) for number in batch["place"]]

    def summary(self):
        return {
            "num_words": self.num_words,
            "num_texts": self.num_texts,
            "end": self.end,
        }

    def arrays(self):
        ids = np.concatenate(self._ids)
        return {
            "types": np.frombuffer(b"\n".join(self._types), dtype="uint8"),
            "counts": np.bincount(ids, minlength=len(self._types)),
            "token_ids": ids,
            "text_lengths": np.concatenate(self._lengths),
        }


def token_batches(corpus, tokenizer, start=(0, 0)):
    """Read and tokenise a corpus in a `tf.data` pipeline, batch by batch.

    Args:
        corpus: a `Corpus`.
        tokenizer: a `WordTokenizer`.
        start: the place in the corpus to go on after.

    Yields:
        Dict of arrays: `types` (W,) bytes, the batch's word types; `ids` (n,)
        int32 into them; `lengths` (texts,) int64; `place` (2,) int64.

    Raises:
        Whatever reading the sources raises, unchanged.
    """
    import tensorflow as tf

    reader = _Reader(corpus, start)
    dataset = tf.data.Dataset.from_generator(
        reader,
        output_signature=(
            tf.TensorSpec([2], tf.int64),
            tf.TensorSpec([None], tf.string),
        ),
    )
    dataset = dataset.map(
        lambda place, texts: _tokenize_batch(tokenizer, place, texts),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    yield from dataset.prefetch(2).as_numpy_iterator()
    if reader.error is not None:
        raise reader.error


def _tokenize_batch(tokenizer, place, texts):
    import tensorflow as tf

    tokens, _, _ = tokenizer.split(texts)
    types, ids = tf.unique(tokens.flat_values)
    return {
        "types": tokenizer.normalize(types),
        "ids": ids,
        "lengths": tokens.row_lengths(),
        "place": place,
    }


class _Reader:
    """A generator for `tf.data` that keeps an error for the main thread."""

    def __init__(self, corpus, start):
        self._corpus = corpus
        self._start = tuple(start)
        self.error = None

    def __call__(self):
        try:
            for place, texts in self._corpus.batches(self._start):
                yield place, [text.encode() for text in texts]
        except Exception as error:  # raised again by `token_batches`
            self.error = error
