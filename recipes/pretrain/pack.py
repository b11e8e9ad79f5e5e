"""Packs a tokenised corpus in one small file, to be carried elsewhere.

    python -m recipes.pretrain.pack --corpus 'wiki/AA/wiki_*' --out loan/wiki.tar.bz2

The file is a corpus for `recipes.pretrain.text` and `recipes.pretrain.train_packed`
(`--corpus loan/wiki.tar.bz2`) on a machine without TensorFlow. It holds the
vocabulary, the token ids (16 bits each, 32 where the vocabulary has more than
65,536 words), the length of each text and how the text was tokenised. What is
held out follows from the texts' lengths, `--validation-fraction` and `--seed`
as it does without packing.

24,395,048 words (English Wikipedia and IMDB reviews, 20,000 in the vocabulary)
take 26.1 MiB; the entropy of single words alone would be 27.3 MiB.
"""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile
import tempfile
from typing import Literal

import tyro

from glomo_keras import data

ENDING = ".tar.bz2"
TOKENISED = "tokenised.json"
TOKENISE_OPTIONS = (
    "vocabulary_size",
    "lowercase",
    "numbers",
    "min_paragraph_words",
)
FILES = (
    "manifest.json",
    "vocabulary.txt",
    "token_ids.npy",
    "text_lengths.npy",
)


@dataclasses.dataclass
class Options:
    """Packs a tokenised corpus in one small file."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path
    """The file to write; its name ends in .tar.bz2."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised corpus is kept."""
    vocabulary_size: int = 20_000
    lowercase: bool = True
    numbers: Literal["keep", "N"] = "N"
    min_paragraph_words: int = 5
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""
    limit_mib: float = 64.0
    """What may be carried at a time."""


def pack(options):
    """Tokenises a corpus, if that was not done before, and packs it.

    Args:
        options: `Options`.

    Raises:
        ValueError: if the file's name does not end in `.tar.bz2`, or the
            file is larger than `limit_mib`; it is there all the same.
    """
    if not options.out.name.endswith(ENDING):
        raise ValueError(
            f"A packed corpus ends in {ENDING}. Received: out={options.out}"
        )
    tokenised = _tokenised(options)
    corpus = data.prepare_corpus(
        list(options.corpus),
        options.cache.expanduser(),
        data_dir=options.data_dir,
        **tokenised,
    )
    write_packed(corpus.path, tokenised, options.out)
    size = options.out.stat().st_size / 2**20
    bits = 8 * corpus.train.token_ids.itemsize
    print(
        f"{options.out}: {size:.1f} MiB, {corpus.num_words:,} words of {bits} "
        f"bits, {len(corpus.vocabulary):,} in the vocabulary"
    )
    if size > options.limit_mib:
        raise ValueError(
            f"{size:.1f} MiB are more than can be carried at a time. Give "
            "fewer files of text, or a smaller --vocabulary-size, or raise "
            f"--limit-mib. Received: limit_mib={options.limit_mib}"
        )


def write_packed(folder, tokenised, out):
    """Writes the prepared corpus in a folder to one file.

    Args:
        folder: path, of a `TokenizedCorpus`.
        tokenised: dict, the options it was tokenised with.
        out: `pathlib.Path`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f"new.{out.name}")
    text = json.dumps(tokenised).encode()
    with tarfile.open(temporary, "w:bz2") as archive:
        entry = tarfile.TarInfo(TOKENISED)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        for name in FILES:
            archive.add(os.path.join(folder, name), name)
    os.replace(temporary, out)


def is_packed(corpus):
    """Whether a corpus, a list of str, is one packed file."""
    return len(corpus) == 1 and str(corpus[0]).endswith(ENDING)


def open_packed(options):
    """Opens a packed corpus, unpacked into the cache the first time.

    Args:
        options: `recipes.pretrain.text.Options`, complete.

    Returns:
        `glomo_keras.data.TokenizedCorpus`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the corpus was tokenised with other options, or the
            file is damaged.
    """
    path = pathlib.Path(options.corpus[0]).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"No packed corpus here; make it with `python -m "
            f"recipes.pretrain.pack`. Received: {path}"
        )
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = options.cache.expanduser() / f"packed-{digest[:16]}"
    if not folder.exists():
        _unpack(path, folder)
    _check_tokenised(options, folder)
    return data.TokenizedCorpus(
        folder, options.validation_fraction, options.seed
    )


def _unpack(path, folder):
    """All files or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=folder.parent)
    try:
        with tarfile.open(path, "r:bz2") as archive:
            archive.extractall(temporary, filter="data")
        if not pathlib.Path(temporary, TOKENISED).exists():
            raise tarfile.TarError(f"there is no {TOKENISED} in it")
        os.replace(temporary, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(
            f"The packed corpus cannot be unpacked ({error}): pack it again. "
            f"Received: {path}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_tokenised(options, folder):
    there = json.loads((folder / TOKENISED).read_text("utf-8"))
    now = _tokenised(options)
    if there != now:
        raise ValueError(
            "The packed corpus was tokenised with other options: "
            f"{there} there. Received: {now}"
        )


def _tokenised(options):
    return {name: getattr(options, name) for name in TOKENISE_OPTIONS}


if __name__ == "__main__":
    pack(tyro.cli(Options))
