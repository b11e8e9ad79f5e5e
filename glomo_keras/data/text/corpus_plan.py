"""Plans the preparation of a corpus, part by part, on any machine."""

import os

from glomo_keras.data.part_files import PartFiles
from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.corpus import as_corpus
from glomo_keras.data.text.corpus_parts import BYTES_PER_WORD
from glomo_keras.data.text.corpus_parts import pieces_of
from glomo_keras.data.text.corpus_parts import plan_parts
from glomo_keras.data.text.token_ids import write_ids
from glomo_keras.data.text.token_shards import ShardWriter
from glomo_keras.data.text.tokenized_corpus import TokenizedCorpus
from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.utils import files
from glomo_keras.utils.validation import check_positive
from glomo_keras.utils.workers import Workers

FORMAT = 6


class CorpusPlan:
    """Plans the work on a corpus: its parts, the folder and the writer.

    Args:
        spec, cache_dir, ...: See `prepare_corpus`.

    Attributes:
        corpus: `Corpus`.
        part_files: `PartFiles`, the shards.
        writer: `ShardWriter`.
        vocabulary, vocabulary_size: As given.
    """

    def __init__(
        self,
        spec,
        cache_dir,
        vocabulary_size=20000,
        lowercase=True,
        numbers="N",
        min_paragraph_words=None,
        texts="auto",
        vocabulary=None,
        shard_words=2_000_000,
        data_dir=None,
        wiki=None,
        normalize_unicode=True,
        skip_broken=False,
    ):
        check_positive(shard_words=shard_words)
        if vocabulary is not None:
            vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
        else:
            check_positive(vocabulary_size=vocabulary_size)
            vocabulary_lib.build_vocabulary({}, vocabulary_size)  # checks it
        self.vocabulary = vocabulary
        self.vocabulary_size = vocabulary_size
        config = WordTokenizer(
            lowercase=lowercase,
            numbers=numbers,
            normalize_unicode=normalize_unicode,
        ).get_config()
        self.corpus = as_corpus(
            spec,
            5,
            min_paragraph_words,
            texts=texts,
            data_dir=data_dir,
            wiki=wiki,
        )
        self.writer = ShardWriter(
            _shard_folder(cache_dir, self.corpus, config, shard_words),
            config,
            self.corpus.min_paragraph_words,
            shard_words,
            skip_broken,
        )
        self._parts = plan_parts(
            self.corpus.sources, BYTES_PER_WORD * shard_words
        )
        self.part_files = PartFiles(self.writer.folder, self._parts)

    def pieces(self, number):
        """Returns the pieces of a part, as `ShardWriter.write` takes them."""
        return pieces_of(self.corpus.sources, self._parts[number])

    def open(self, validation_fraction=0.01, seed=0, workers=None):
        """Returns the `TokenizedCorpus` when the shards are complete.

        Args:
            validation_fraction, seed: See `TokenizedCorpus`.
            workers: `Workers` that map the shards to ids. Defaults to None,
                this process.

        Raises:
            ValueError: If there is no word in them.
        """
        self.part_files.warn_of_broken(len(self.corpus.sources))
        records = self.part_files.file_records()
        if not records:
            raise ValueError(
                "The corpus holds no usable text: every paragraph is empty "
                f"or has fewer than {self.corpus.min_paragraph_words} words, "
                f"or the files are broken. Received: {self.corpus.spec!r}"
            )
        path = write_ids(
            self.writer.folder,
            records,
            self.writer.tokenizer_config,
            self.vocabulary,
            self.vocabulary_size,
            workers or Workers(),
        )
        return TokenizedCorpus(path, validation_fraction, seed)


def _shard_folder(cache_dir, corpus, tokenizer_config, shard_words):
    key = {
        "format": FORMAT,
        "tokenizer": tokenizer_config,
        "min_paragraph_words": corpus.min_paragraph_words,
        "shard_words": shard_words,
        "sources": corpus.signature(),
    }
    cache_dir = os.path.expanduser(os.fspath(cache_dir))
    folder = os.path.join(cache_dir, f"tokens-{files.digest(key)}")
    path = os.path.join(folder, "sources.json")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        files.write_json(path, key, shared=True)
    return folder
