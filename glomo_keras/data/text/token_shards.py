"""Pass 1 of a corpus: texts to shards of token ids, resumable."""

import concurrent.futures
import functools
import os
import unicodedata
import warnings

import numpy as np

from glomo_keras.data.text import python_tokenizer
from glomo_keras.data.text.word_splitting import split_words
from glomo_keras.data.text.word_tokenizer import has_tensorflow
from glomo_keras.utils import files

FORMAT = 2


class TokenShards:
    """The tokenised shards of a corpus in one folder.

    A shard is an `.npz` file: `types`, the UTF-8 bytes of its own word types
    joined by line breaks; `counts`, int64, one per type; `token_ids`, int32,
    the words as positions in `types`; `text_lengths`, int64. `manifest.json`
    lists the shards, their checksums and how far each one went in the sources.

    Args:
        folder: str; one corpus and one set of options each.
        corpus: The `Corpus` to read.
        tokenizer: A `WordTokenizer`.
        shard_words: int. A shard is closed once it holds so many words.
    """

    def __init__(self, folder, corpus, tokenizer, shard_words):
        self.folder = folder
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.shard_words = shard_words
        self.records = []
        self._path = os.path.join(folder, "manifest.json")

    def complete(self, progress):
        """Checks the shards that are there and writes those that are not.

        Args:
            progress: Function of the number of new words and the place.

        Raises:
            ValueError: If the corpus holds no usable text.
        """
        os.makedirs(self.folder, exist_ok=True)
        manifest = files.read_json_or_none(self._path)
        manifest = manifest or {"complete": False, "shards": []}
        before = [dict(record) for record in manifest["shards"]]
        self.records = self._sound(manifest["shards"])
        if len(self.records) < len(before) or not manifest["complete"]:
            self._append(progress)
        if self.records != before or not manifest["complete"]:
            self._save(complete=True)
        if not self.records:
            raise ValueError(
                "The corpus holds no usable text: every paragraph is empty "
                f"or has fewer than {self.corpus.min_paragraph_words} words. "
                f"Received: {self.corpus.spec!r}"
            )

    def load(self, index):
        """Returns the arrays of a shard, `types` as a list of bytes."""
        path = os.path.join(self.folder, self.records[index]["file"])
        with np.load(path) as arrays:
            shard = {name: arrays[name] for name in arrays.files}
        shard["types"] = shard["types"].tobytes().split(b"\n")
        return shard

    def _sound(self, records):
        """Returns the records of the shards before the first damaged one."""
        for index, record in enumerate(records):
            fault = files.find_fault(self.folder, record)
            if fault is not None:
                warnings.warn(
                    f"{os.path.join(self.folder, record['file'])} {fault}: "
                    "rebuilding it and those after it from the sources.",
                    stacklevel=4,
                )
                return records[:index]
        return records

    def _append(self, progress):
        start = self.records[-1]["end"] if self.records else (0, 0)
        for shard in self._read(start, progress):
            self.records.append(self._write(len(self.records), shard))
            self._save(complete=False)

    def _read(self, start, progress):
        """Yields the shards after a place in the sources."""
        shard = _Shard(self.tokenizer.normalize_unicode)
        for place, batch in self._tokenized(start):
            shard.add(place, *batch)
            progress(len(batch[1]), place)
            if shard.num_words >= self.shard_words:
                yield shard
                shard = _Shard(self.tokenizer.normalize_unicode)
        if shard.num_words:
            yield shard

    def _tokenized(self, start):
        """Yields places and tokens; tokenises while the next texts are read."""
        tokenize = make_tokenize(self.tokenizer)
        batches = self.corpus.batches(
            start, max_characters=min(1 << 18, 5 * self.shard_words)
        )
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = None
            for place, texts in batches:
                result = pool.submit(tokenize, texts)
                if waiting is not None:
                    yield waiting[0], waiting[1].result()
                waiting = place, result
            if waiting is not None:
                yield waiting[0], waiting[1].result()

    def _write(self, index, shard):
        path = os.path.join(self.folder, f"shard-{index:05d}.npz")
        with files.atomic_file(path, "wb", shared=True) as file:
            np.savez(file, **shard.arrays())
        return {
            **files.file_record(path),
            "num_words": shard.num_words,
            "num_texts": shard.num_texts,
            "end": shard.end,
        }

    def _save(self, complete):
        manifest = {"complete": complete, "shards": self.records}
        files.write_json(self._path, manifest, shared=True)


class _Shard:
    """A shard in the making."""

    def __init__(self, normalize_unicode):
        self.num_words = 0
        self.num_texts = 0
        self.end = None
        self._form = "NFC" if normalize_unicode else None
        self._types = {}
        self._ids = []
        self._lengths = []

    def add(self, place, words, ids, lengths):
        types = self._types
        if self._form is not None:
            words = [
                unicodedata.normalize(self._form, word.decode()).encode()
                for word in words
            ]
        numbers = [types.setdefault(word, len(types)) for word in words]
        ids = np.array(numbers, dtype="int32")[ids]
        self._ids.append(ids)
        self._lengths.append(lengths)
        self.num_words += len(ids)
        self.num_texts += len(lengths)
        self.end = list(place)

    def arrays(self):
        ids = np.concatenate(self._ids)
        return {
            "types": np.frombuffer(b"\n".join(self._types), dtype="uint8"),
            "counts": np.bincount(ids, minlength=len(self._types)),
            "token_ids": ids,
            "text_lengths": np.concatenate(self._lengths),
        }


def make_tokenize(tokenizer):
    """Returns a function that splits a list of texts.

    Args:
        tokenizer: A `WordTokenizer`.

    Returns:
        Function of a list of str that returns arrays: the word types `(W,)`
        as bytes, the words `(n,)` as int32 positions in them, and the number
        of words of each text, int64.
    """
    if not has_tensorflow():
        return functools.partial(_tokenize_in_python, tokenizer)
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def split(texts):
        tokens, _ = split_words(texts)
        types, ids = tf.unique(tokens.flat_values)
        return tokenizer.normalize(types), ids, tokens.row_lengths()

    return lambda texts: [x.numpy() for x in split(tf.constant(texts))]


def _tokenize_in_python(tokenizer, texts):
    types, ids, lengths = {}, [], []
    for text in texts:
        tokens = [token for token, *_ in python_tokenizer.split_words(text)]
        ids += [types.setdefault(token, len(types)) for token in tokens]
        lengths.append(len(tokens))
    words = [word.encode() for word in tokenizer.normalize(list(types))]
    return words, np.array(ids, "int32"), np.array(lengths, "int64")
