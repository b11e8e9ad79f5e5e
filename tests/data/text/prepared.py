"""Prepares the corpus of the fixture `sources`."""

from glomo_keras.data import Corpus
from glomo_keras.data import open_corpus
from glomo_keras.data import prepare_corpus


def prepare(sources, cache, **options):
    """Prepares a folder of texts, or a `Corpus`."""
    corpus = sources
    if not isinstance(sources, Corpus):
        corpus = open_corpus(str(sources / "*.txt"), "line")
    options = {"shard_words": 100, **options}
    return prepare_corpus(corpus, str(cache), progress=False, **options)


def content(corpus):
    streams = [corpus.train, corpus.validation]
    texts = [[s.text(i).tolist() for i in range(s.num_texts)] for s in streams]
    return corpus.vocabulary, texts
