"""Pass 1 of a corpus: turns texts into shards of token ids, resumable."""

import concurrent.futures
import functools
import os
import unicodedata

import numpy as np

from glomo_keras.data.text import python_tokenizer
from glomo_keras.data.text.corpus_parts import PartReader
from glomo_keras.data.text.word_splitting import split_words
from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.data.text.word_tokenizer import has_tensorflow
from glomo_keras.utils import files

MAX_BATCH_TEXTS = 1024
MAX_BATCH_CHARACTERS = 1 << 18


class ShardWriter:
    """Tokenises parts of a corpus into shards, on this machine or another.

    A part is a shard, or several if it has more than `shard_words` words,
    `shard-PART-NUMBER.npz`: `types`, the UTF-8 bytes of its own word types
    joined by line breaks; `counts`, int64, one per type; `token_ids`, int32,
    the words as positions in `types`; `text_lengths`, int64. The bytes of a
    shard depend on the part and the options alone. A writer can be pickled.

    Args:
        folder: str, where the shards lie.
        tokenizer_config: Dict of the options of the `WordTokenizer`.
        min_paragraph_words: See `Corpus`.
        shard_words: int. A shard is closed once it holds so many words.
        skip_broken: See `PartReader`.
    """

    def __init__(
        self,
        folder,
        tokenizer_config,
        min_paragraph_words,
        shard_words,
        skip_broken=False,
    ):
        self.folder = folder
        self.tokenizer_config = tokenizer_config
        self.shard_words = shard_words
        self.reader = PartReader(min_paragraph_words, skip_broken)
        self._tokenize = None

    def __getstate__(self):
        return self.__dict__ | {"_tokenize": None}

    def write(self, number, pieces, progress=None):
        """Writes the shards of a part.

        Args:
            number: int, of the part.
            pieces: See `PartReader.texts`.
            progress: Function of the number of new words, or None. Defaults
                to None.

        Returns:
            Dict of `files`, the records of the shards with `num_words` and
            `num_texts`, and `broken`, see `PartReader`.
        """
        records = []
        for shard in self._shards(pieces, progress):
            name = f"shard-{number:05d}-{len(records):03d}.npz"
            path = os.path.join(self.folder, name)
            with files.atomic_file(path, "wb", shared=True) as file:
                np.savez(file, **shard.arrays())
            records.append(
                {
                    **files.file_record(path),
                    "num_words": shard.num_words,
                    "num_texts": shard.num_texts,
                }
            )
        return {"files": records, "broken": self.reader.broken}

    def _shards(self, pieces, progress):
        form = self.tokenizer_config["normalize_unicode"]
        shard = _Shard(form)
        for tokens in self._tokenized(pieces):
            shard.add(*tokens)
            if progress is not None:
                progress(len(tokens[1]))
            if shard.num_words >= self.shard_words:
                yield shard
                shard = _Shard(form)
        if shard.num_words:
            yield shard

    def _tokenized(self, pieces):
        """Yields tokens; tokenises while the next texts are read."""
        if self._tokenize is None:
            self._tokenize = make_tokenize(
                WordTokenizer(**self.tokenizer_config)
            )
        most = min(MAX_BATCH_CHARACTERS, 5 * self.shard_words)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = None
            for texts in _batches(self.reader.texts(pieces), most):
                result = pool.submit(self._tokenize, texts)
                if waiting is not None:
                    yield waiting.result()
                waiting = result
            if waiting is not None:
                yield waiting.result()


def _batches(texts, max_characters):
    """Yields lists of texts; a list ends with the text that fills it."""
    batch, size = [], 0
    for *_, text in texts:
        batch.append(text)
        size += len(text)
        if size >= max_characters or len(batch) >= MAX_BATCH_TEXTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def load_shard(folder, record):
    """Returns the arrays of a shard, `types` as a list of bytes."""
    with np.load(os.path.join(folder, record["file"])) as arrays:
        shard = {name: arrays[name] for name in arrays.files}
    shard["types"] = shard["types"].tobytes().split(b"\n")
    return shard


class _Shard:
    """Collects the words of a shard."""

    def __init__(self, normalize_unicode):
        self.num_words = 0
        self.num_texts = 0
        self._form = "NFC" if normalize_unicode else None
        self._types = {}
        self._ids = []
        self._lengths = []

    def add(self, words, ids, lengths):
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
