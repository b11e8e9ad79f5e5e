"""A corpus as token ids on disk: prepared once, opened at once afterwards."""

import contextlib
import os

import numpy as np

from glomo_keras.data.text import token_shards
from glomo_keras.data.text import vocabulary as vocabulary_lib
from glomo_keras.data.text.corpus import Corpus
from glomo_keras.data.text.corpus import open_corpus
from glomo_keras.data.text.token_ids import ID_FILES
from glomo_keras.data.text.token_ids import write_ids
from glomo_keras.data.text.token_stream import split_texts
from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.utils import files


class TokenizedCorpus:
    """Token ids of a prepared corpus, memory-mapped.

    Args:
        path: str, the folder that `prepare_corpus` wrote.
        validation_fraction: float in [0, 1). This share of the *texts*, at
            least one, is held out, chosen by `seed` and the text's number
            alone. A corpus of a single text holds out its end. Defaults to
            0.01.
        seed: int. Defaults to 0.

    Raises:
        FileNotFoundError: If nothing was prepared at `path`.
        ValueError: If `validation_fraction` is out of range.

    Attributes:
        path: str, the folder.
        vocabulary: List of str, the position is the id.
        tokenizer_config: Dict of the options of the `WordTokenizer`, or None
            if an earlier version prepared the corpus.
        train, validation: `TokenStream`.
        num_words: int, in both streams together.
        unknown_rate: float, the share of words outside the vocabulary.
    """

    def __init__(self, path, validation_fraction=0.01, seed=0):
        if not 0 <= validation_fraction < 1:
            raise ValueError(
                "`validation_fraction` lies in [0, 1). "
                f"Received: validation_fraction={validation_fraction}"
            )
        self.path = str(path)
        manifest = files.read_json_or_none(os.path.join(path, "manifest.json"))
        if manifest is None:
            raise FileNotFoundError(
                "No prepared corpus here: manifest.json is missing or "
                f"damaged. Received: path={str(path)!r}"
            )
        self.tokenizer_config = manifest.get("tokenizer")
        self.num_words = manifest["num_words"]
        self.unknown_rate = manifest["num_unknown"] / self.num_words
        names = [os.path.join(path, name) for name in ID_FILES]
        self.vocabulary = vocabulary_lib.read_vocabulary(names[0])
        token_ids = np.load(names[1], mmap_mode="r")
        lengths = np.load(names[2])
        self.train, self.validation = split_texts(
            token_ids, lengths, validation_fraction, seed
        )


def prepare_corpus(
    spec,
    cache_dir,
    vocabulary_size=20000,
    lowercase=True,
    numbers="N",
    min_paragraph_words=5,
    texts="auto",
    validation_fraction=0.01,
    vocabulary=None,
    seed=0,
    shard_words=2_000_000,
    data_dir=None,
    download=False,
    wiki=None,
    normalize_unicode=True,
    progress=True,
):
    """Tokenises a corpus on disk, or opens it if that was done before.

    Pass 1 reads the sources, cleans and tokenises them and writes shards; a
    run that was killed goes on with the next shard, and a damaged shard is
    rebuilt. Pass 2 counts, makes the vocabulary and writes all ids to one
    file. Memory holds one shard and the counts of the word types. Sources
    (path, size, time) and options name the folder below `cache_dir`, so that
    changing any of them starts afresh, while another vocabulary reuses the
    shards.

    Args:
        spec: What `open_corpus` takes, or a `Corpus`.
        cache_dir: The folder for everything that is written.
        vocabulary_size: int, the most entries, `<pad>` and `<unk>` included.
            Defaults to 20,000.
        lowercase: See `WordTokenizer`. Defaults to True.
        numbers: See `WordTokenizer`. Defaults to `"N"`.
        min_paragraph_words, texts: See `open_corpus`. Defaults to 5 and
            `"auto"`.
        validation_fraction, seed: See `TokenizedCorpus`. Defaults to 0.01
            and 0.
        vocabulary: List of str to use instead of counting, or None. Defaults
            to None.
        shard_words: int, the size of a shard. Defaults to two million.
        data_dir, download, wiki: See `open_corpus`. Defaults to None, False
            and None.
        normalize_unicode: See `WordTokenizer`. Defaults to True.
        progress: Whether to show a progress bar. Defaults to True.

    Returns:
        A `TokenizedCorpus`.

    Raises:
        FileNotFoundError: If a source does not exist.
        ValueError: If nothing usable is found, or an argument is wrong.

    Example:

    ```python
    corpus = prepare_corpus("wiki/AA/wiki_*", "~/.cache/glomo")
    sampler = WindowSampler(corpus.train, batch_size=32)
    ```
    """
    tokenizer = WordTokenizer(
        lowercase=lowercase,
        numbers=numbers,
        normalize_unicode=normalize_unicode,
    )
    if vocabulary is not None:
        vocabulary = vocabulary_lib.check_vocabulary(vocabulary)
    elif vocabulary_size < 3:
        vocabulary_lib.build_vocabulary({}, vocabulary_size)  # raises
    corpus = spec
    if not isinstance(spec, Corpus):
        corpus = open_corpus(
            spec, texts, min_paragraph_words, data_dir, download, wiki
        )
    folder = _shard_folder(cache_dir, corpus, tokenizer, shard_words)
    shards = token_shards.TokenShards(folder, corpus, tokenizer, shard_words)
    with _progress_bar(progress, len(corpus.sources)) as report:
        shards.complete(report)
    path = write_ids(shards, vocabulary, vocabulary_size)
    return TokenizedCorpus(path, validation_fraction, seed)


def _shard_folder(cache_dir, corpus, tokenizer, shard_words):
    key = {
        "format": token_shards.FORMAT,
        "tokenizer": tokenizer.get_config(),
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


@contextlib.contextmanager
def _progress_bar(enabled, num_sources):
    """Gives a function of the number of new words and the place reached."""
    from tqdm import tqdm

    with tqdm(
        desc="tokenising",
        unit=" words",
        unit_scale=True,
        delay=0.5,
        disable=not enabled,
    ) as bar:

        def report(num_words, place):
            bar.set_postfix_str(
                f"source {place[0] + 1} of {num_sources}", refresh=False
            )
            bar.update(num_words)

        yield report
