"""Opens text corpora: files, folders, globs and TFDS names."""

import glob
import os
import pathlib

from glomo_keras.data.lines import BrokenFile
from glomo_keras.data.text.cleaning import clean_paragraphs
from glomo_keras.data.text.text_file import RawText
from glomo_keras.data.text.text_file import TextFile
from glomo_keras.data.tfds_examples import TfdsExamples
from glomo_keras.utils import files


class Corpus:
    """Reads an ordered list of sources as a stream of cleaned texts.

    Only the text being read is in memory.

    Args:
        sources: List of objects with `texts()`, which yields `RawText`s, and
            `signature()`, a value of JSON that changes with the content. A
            source that can be read in parts has `spans` too, see `TextFile`.
        spec: What the user asked for, for messages. Defaults to None.
        min_paragraph_words: int. Shorter paragraphs are dropped; a text
            without any paragraph left is skipped. Defaults to 5.
        options: dict, the other options given to `open_corpus`;
            `prepare_corpus` refuses different ones. Defaults to none.
    """

    def __init__(self, sources, spec=None, min_paragraph_words=5, options=()):
        self.sources = list(sources)
        self.spec = spec
        self.min_paragraph_words = min_paragraph_words
        self.options = dict(options)

    def texts(self, start=(0, 0)):
        """Yields the texts, cleaned, one paragraph a line.

        Args:
            start: A place that was yielded before: go on after it. Defaults
                to the beginning.

        Yields:
            `(place, text)`, the place being `(source, raw texts read)`.
        """
        for index in range(start[0], len(self.sources)):
            skip = start[1] if index == start[0] else 0
            raw_texts = self.sources[index].texts()
            for count, raw in enumerate(raw_texts, 1):
                if count <= skip:
                    continue
                text = clean_text(raw, self.min_paragraph_words)
                if text:
                    yield (index, count), text

    def signature(self):
        """Returns a list that changes whenever a source does."""
        return [source.signature() for source in self.sources]


def clean_text(raw, min_paragraph_words):
    """Returns a `RawText` cleaned, one paragraph a line, or `""`."""
    return "\n".join(
        clean_paragraphs(
            raw.text, min_paragraph_words, raw.line_breaks, raw.wiki
        )
    )


class TfdsTexts:
    """Reads the `"text"` feature of one split of a TFDS data set.

    Args:
        spec, data_dir: See `TfdsExamples`.
        wiki: See `TextFile`; None means: if the name says so.
    """

    def __init__(self, spec, data_dir=None, wiki=None):
        self.name = spec
        self.wiki = "wiki" in spec if wiki is None else wiki
        self._options = (spec, ("text",), data_dir)
        self._examples = TfdsExamples(*self._options)

    def __getstate__(self):
        return self.__dict__ | {"_examples": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._examples = TfdsExamples(*self._options)

    def signature(self):
        """Returns a list that identifies this state of the data set."""
        return [self.wiki, *self._examples.signature()]

    def spans(self, num_bytes):
        """Returns parts of the split, see `TextFile.spans`."""
        return self._examples.spans(num_bytes)

    def texts(self, start=0, stop=None):
        """Yields a `RawText` for each example, in the stored order.

        Args:
            start, stop: int or None, of a span, in examples. Default to the
                whole split.

        Raises:
            BrokenFile: If a file of the data set is damaged.
        """
        import tensorflow as tf

        try:
            for example in self._examples.read(start, stop):
                text = example["text"].decode("utf-8", "replace")
                yield RawText(text, True, self.wiki)
        except tf.errors.DataLossError as error:
            raise BrokenFile(
                f"{self.name} cannot be read to its end: prepare it again. "
                f"Received: {error.message}"
            ) from error


def open_corpus(
    spec,
    texts="auto",
    min_paragraph_words=5,
    data_dir=None,
    wiki=None,
):
    """Opens text files or a TFDS data set as a corpus.

    Args:
        spec: str, or a list of them, each one of: a file (also `.gz`,
            `.bz2`, `.xz`), a folder (every file below it that is not hidden),
            a glob (`**` goes down), or
            `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`. WikiExtractor's files are
            recognised. Files are read in the order of their names, each
            once.
        texts: What one text is in a plain file: `"auto"`, `"file"`, `"line"`
            or `"blank_line"`, see `TextFile`. Defaults to `"auto"`.
        min_paragraph_words: int. Shorter paragraphs are dropped. Defaults to
            5.
        data_dir: The folder of prepared TFDS data sets, or None. Defaults to
            None.
        wiki: Whether to remove what MediaWiki and WikiExtractor leave, see
            `clean_paragraphs`; None means: from WikiExtractor's files and
            TFDS data sets with `wiki` in their name. Defaults to None.

    Returns:
        A `Corpus`.

    Raises:
        FileNotFoundError: If a path or glob matches no file, or a TFDS
            data set is not prepared.
        ValueError: If `spec` is empty.

    Example:

    ```python
    corpus = open_corpus(["wiki/*/wiki_*", "tfds:lm1b:train"])
    for _, text in corpus.texts():
        ...
    ```
    """
    entries = [spec] if isinstance(spec, str | os.PathLike) else list(spec)
    if not entries:
        raise ValueError(f"A corpus needs a source. Received: spec={spec!r}")
    sources, seen = [], set()
    for entry in map(os.fspath, entries):
        if entry.startswith("tfds:"):
            sources.append(TfdsTexts(entry, data_dir, wiki))
            continue
        for path in _find_files(entry):
            file = os.path.realpath(path)
            if file not in seen:
                seen.add(file)
                sources.append(TextFile(path, texts, wiki))
    options = {"texts": texts, "data_dir": data_dir, "wiki": wiki}
    return Corpus(sources, spec, min_paragraph_words, options)


def as_corpus(spec, default_words, min_paragraph_words, **options):
    """Returns a `Corpus` as it is, and opens anything else.

    Args:
        spec: What `open_corpus` takes, or a `Corpus`.
        default_words: int, the `min_paragraph_words` of `None`.
        min_paragraph_words: int or None.
        **options: The other options of `open_corpus`.

    Raises:
        ValueError: If an option differs from that of the `Corpus`.
    """
    if not isinstance(spec, Corpus):
        if min_paragraph_words is None:
            min_paragraph_words = default_words
        return open_corpus(
            spec, min_paragraph_words=min_paragraph_words, **options
        )
    options["min_paragraph_words"] = min_paragraph_words
    own = {**spec.options, "min_paragraph_words": spec.min_paragraph_words}
    defaults = {"texts": "auto"}
    other = {
        name: value
        for name, value in options.items()
        if value not in (None, defaults.get(name), own.get(name))
    }
    if other:
        raise ValueError(
            "A `Corpus` has options of its own: give them to `open_corpus`. "
            f"Received: a Corpus and {other}"
        )
    return spec


def _find_files(entry):
    """Returns the files that a path or glob stands for, sorted."""
    entry = os.path.expanduser(entry)
    matches = [entry]
    if not os.path.exists(entry):
        named = set(pathlib.Path(entry).parts)
        matches = [
            match
            for match in sorted(glob.glob(entry, recursive=True))
            if not _is_hidden_match(match, named)
        ]
    paths = []
    for match in matches:
        below = os.path.isdir(match)
        paths.extend(files.files_below(match) if below else [match])
    paths = [path for path in paths if os.path.isfile(path)]
    if not paths:
        raise FileNotFoundError(
            f"No text file found: nothing matches. Received: {entry!r}"
        )
    return paths


def _is_hidden_match(match, named):
    """Returns whether a glob found a hidden file that it does not name.

    A leading dot does not hide: `*` matches none, and `.*` asks for it.

    Args:
        match: str, a path.
        named: set of the parts of the glob.
    """
    found = set(pathlib.Path(match).parts) - named
    return any(files.is_hidden(name.lstrip(".")) for name in found)
