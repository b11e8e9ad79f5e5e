"""Packs a tokenised corpus in one file, for a machine without TensorFlow.

    python -m recipes.pretrain.pack --corpus 'wiki/AA/wiki_*' --out wiki.tar.bz2

`recipes.pretrain.text --corpus wiki.tar.bz2` trains from it, on JAX or
PyTorch as well. The file holds the vocabulary, the token ids (16 bits each, 32
if the vocabulary has more than 65,536 words), the length of each text and the
options of the tokeniser. Which texts are held out depends on their lengths,
`--validation-fraction` and `--seed`, as without packing.

24,395,048 words (English Wikipedia and IMDB reviews, 20,000 in the vocabulary)
take 26 MiB.
"""

import dataclasses
import os
import pathlib
import shutil
import tarfile
import tempfile
from typing import Literal

import tyro

from glomo_keras import data
from glomo_keras.utils import files

ENDING = ".tar.bz2"
TOKENISED = "tokenised.json"
TOKENISE_OPTIONS = (
    "vocabulary_size",
    "lowercase",
    "numbers",
    "normalize_unicode",
    "min_paragraph_words",
)
FILES = (
    "manifest.json",
    "vocabulary.txt",
    "token_ids.npy",
    "text_lengths.npy",
)


@dataclasses.dataclass(kw_only=True)
class TokeniseOptions:
    """The corpus, and how it is tokenised."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    """Where the tokenised corpus is kept."""
    vocabulary_size: int = 20_000
    lowercase: bool = True
    numbers: Literal["keep", "N"] = "N"
    normalize_unicode: bool = True
    min_paragraph_words: int = 5
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""


@dataclasses.dataclass(kw_only=True)
class Options(TokeniseOptions):
    """Packs a tokenised corpus in one file."""

    out: pathlib.Path
    """The file to write; its name ends in .tar.bz2."""


def tokenise_options(options):
    """Returns the options of the tokeniser, as `prepare_corpus` takes them."""
    return {name: getattr(options, name) for name in TOKENISE_OPTIONS}


def pack(options):
    """Tokenises a corpus, unless the cache has it, and packs it.

    Args:
        options: `Options`.

    Raises:
        ValueError: If the file's name does not end in `.tar.bz2`.
    """
    if not options.out.name.endswith(ENDING):
        raise ValueError(
            f"A packed corpus ends in {ENDING}. Received: out={options.out}"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tokenised = tokenise_options(options)
    corpus = data.prepare_corpus(
        list(options.corpus),
        options.cache.expanduser(),
        data_dir=options.data_dir,
        **tokenised,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copy(os.path.join(corpus.path, name), folder)
        files.write_json(pathlib.Path(folder, TOKENISED), tokenised)
        with (
            files.atomic_file(options.out, "wb") as file,
            tarfile.open(fileobj=file, mode="w:bz2") as archive,
        ):
            archive.add(folder, ".")
    print(
        f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB, "
        f"{corpus.num_words:,} words, {len(corpus.vocabulary):,} in the "
        "vocabulary"
    )


def is_packed(corpus):
    """Returns whether a corpus, a sequence of str, is one packed file."""
    return len(corpus) == 1 and str(corpus[0]).endswith(ENDING)


def open_packed(options):
    """Opens a packed corpus, unpacking it into the cache the first time.

    Args:
        options: `recipes.pretrain.text.Options`, complete.

    Returns:
        `glomo_keras.data.TokenizedCorpus`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the corpus was tokenised with other options, or the
            file is damaged.
    """
    path = pathlib.Path(options.corpus[0]).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            "No packed corpus here; make it with `python -m "
            f"recipes.pretrain.pack`. Received: {path}"
        )
    folder = options.cache.expanduser() / f"packed-{files.sha256(path)[:16]}"
    if not folder.exists():
        unpack(path, folder)
    there = files.read_json(folder / TOKENISED)
    there.setdefault("normalize_unicode", False)  # of earlier versions
    now = tokenise_options(options)
    if there != now:
        raise ValueError(
            "The packed corpus was tokenised with other options: "
            f"{there} there. Received: {now}"
        )
    return data.TokenizedCorpus(
        folder, options.validation_fraction, options.seed
    )


def unpack(path, folder):
    """Unpacks a file into a folder, which appears only when complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.mkdtemp(dir=folder.parent)
    try:
        with tarfile.open(path, "r:bz2") as archive:
            for member in filter(tarfile.TarInfo.isfile, archive):
                # The name alone: nothing is written outside the folder.
                target = pathlib.Path(temporary, pathlib.Path(member.name).name)
                with target.open("wb") as file:
                    shutil.copyfileobj(archive.extractfile(member), file)
        os.replace(temporary, folder)
    except (EOFError, OSError, tarfile.TarError) as error:
        raise ValueError(
            f"The packed corpus cannot be unpacked ({error}): pack it again. "
            f"Received: {path}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    pack(tyro.cli(Options))
