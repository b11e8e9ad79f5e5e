r"""Trains word vectors on your own text, in place of GloVe.

    python -m recipes.pretrain.word_vectors --out wiki_imdb.100d.txt \
        --corpus 'wiki/AA/wiki_*' imdb_unsup/aclImdb/train/unsup

Skip-gram or CBOW of word2vec with negative sampling, by gensim (the extra
`vectors`). `--corpus` is that of `recipes.pretrain.text`, and the tokens are
those of the tasks, lower-cased or not, digits kept. OUT is a text file in
GloVe's format, `token v1 ... vd`, the most frequent word first, for
`--features glove --vectors OUT` of the tasks and `data.read_word_vectors`.
The first run keeps the tokenised text in `--cache`. Only `--workers 1` gives
the same numbers each time.

With `--epochs 4` the command above takes 7 minutes of processor time on one
core of an AMD EPYC for the 24.4 M words of the two corpora.
"""

import contextlib
import dataclasses
import pathlib
from typing import Literal

import numpy as np
import tyro
from gensim.models import Word2Vec
from tqdm import tqdm

from glomo_keras import data
from glomo_keras.training import atomic_file
from recipes.common import check_positive
from recipes.common import refuse

# The most words that gensim reads of one text; it drops the rest silently.
MAX_PIECE_WORDS = 10_000
ALL_WORDS = 1 << 31


@dataclasses.dataclass
class Options:
    """Trains word vectors and writes them as GloVe's text files."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path
    """The text file to write."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised corpus is kept."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""
    lowercase: bool = True
    min_paragraph_words: int = 5
    min_count: int = 5
    """Rarer words get no vector."""
    dim: int = 100
    algorithm: Literal["skipgram", "cbow"] = "skipgram"
    window: int = 5
    """Words on each side that are predicted."""
    negative: int = 5
    """Wrong words drawn for each right one."""
    subsample: float = 1e-4
    """Words more frequent than this share are thinned out."""
    learning_rate: float = 0.025
    epochs: int = 5
    workers: int = 1
    """Threads."""
    seed: int = 0
    overwrite: bool = False
    """Replace OUT if it is there."""


def check(options):
    """Refuses options before any work.

    Raises:
        ValueError: If a number is out of its range.
        FileExistsError: If OUT is there and is not to be replaced.
        NotADirectoryError: If the folder of OUT cannot be made.
    """
    check_positive(
        options, "dim", "window", "negative", "epochs", "workers", "min_count"
    )
    for name in ("learning_rate", "subsample"):
        if not 0 < getattr(options, name) <= 1:
            refuse(name, "in (0, 1]", options)
    if options.out.is_dir() or (options.out.exists() and not options.overwrite):
        raise FileExistsError(
            "`out` is there already: take another name, or --overwrite to "
            f"replace a file. Received: out={str(options.out)!r}"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)


def load(options):
    """Returns the tokenised corpus, with all words in its vocabulary."""
    return data.prepare_corpus(
        list(options.corpus),
        options.cache.expanduser(),
        vocabulary_size=ALL_WORDS,
        lowercase=options.lowercase,
        numbers="keep",
        min_paragraph_words=options.min_paragraph_words,
        validation_fraction=0.0,
        data_dir=options.data_dir,
    )


def count_words(options, corpus):
    """Returns the counts of the words that get a vector.

    Raises:
        ValueError: If no word is frequent enough.
    """
    counts = np.bincount(
        corpus.train.token_ids, minlength=len(corpus.vocabulary)
    )
    frequent = {
        word: int(count)
        for word, count in zip(corpus.vocabulary, counts, strict=True)
        if count >= options.min_count
    }
    if not frequent:
        raise ValueError(
            f"No word occurs {options.min_count} times in the corpus: lower "
            f"`min_count`. Received: {corpus.num_words} words"
        )
    return frequent


class Texts:
    """Iterates over the corpus as lists of words, showing a bar.

    Args:
        corpus: `TokenizedCorpus`.
        epochs: int, how often it will be read.
        max_words: int, the most words of a list.
    """

    def __init__(self, corpus, epochs, max_words=MAX_PIECE_WORDS):
        self._max_words = max_words
        self._stream = corpus.train
        self._words = np.array(corpus.vocabulary, dtype=object)
        self._bar = tqdm(
            desc="training",
            total=epochs * corpus.num_words,
            unit=" words",
            unit_scale=True,
        )

    def __iter__(self):
        for index in range(self._stream.num_texts):
            words = self._words[self._stream.text(index)].tolist()
            for start in range(0, len(words), self._max_words):
                yield words[start : start + self._max_words]
            self._bar.update(len(words))

    def close(self):
        self._bar.close()


def fit(options, corpus):
    """Trains; returns gensim's `KeyedVectors`."""
    model = Word2Vec(
        vector_size=options.dim,
        sg=int(options.algorithm == "skipgram"),
        window=options.window,
        negative=options.negative,
        sample=options.subsample,
        alpha=options.learning_rate,
        min_count=options.min_count,
        workers=options.workers,
        seed=options.seed,
    )
    model.build_vocab_from_freq(
        count_words(options, corpus), corpus_count=corpus.train.num_texts
    )
    print(
        f"{corpus.num_words:,} words, {len(model.wv):,} of "
        f"{len(corpus.vocabulary) - 2:,} different ones get a vector"
    )
    with contextlib.closing(Texts(corpus, options.epochs)) as texts:
        model.train(texts, total_words=corpus.num_words, epochs=options.epochs)
    return model.wv


def write(path, words, vectors):
    """Writes `token v1 ... vd`, one word a line, five decimals."""
    with atomic_file(path) as file:
        for word, vector in zip(words, vectors, strict=True):
            numbers = " ".join(f"{number:.5f}" for number in vector.tolist())
            file.write(f"{word} {numbers}\n")


def train_word_vectors(options):
    """Runs the recipe; returns the path of the file."""
    check(options)
    vectors = fit(options, load(options))
    write(options.out, vectors.index_to_key, vectors.vectors)
    print(f"{len(vectors):,} vectors of {options.dim} numbers: {options.out}")
    return options.out


if __name__ == "__main__":
    train_word_vectors(tyro.cli(Options))
