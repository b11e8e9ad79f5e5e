"""Opens text corpora: files, folders, globs and TFDS names."""

import glob
import os
import pathlib

from glomo_keras.data.text.cleaning import clean_paragraphs
from glomo_keras.data.text.text_file import RawText
from glomo_keras.data.text.text_file import TextFile
from glomo_keras.data.tfds_examples import TfdsExamples
from glomo_keras.utils import files


class Corpus:
    """An ordered list of sources, read as a stream of cleaned texts.

    Only the text being read is in memory.

    Args:
        sources: List of objects with `texts()`, which yields `RawText`s, and
            `signature()`, a value of JSON that changes with the content.
        spec: What the user asked for, for messages. Defaults to None.
        min_paragraph_words: int. Shorter paragraphs are dropped; a text
            without any paragraph left is skipped. Defaults to 5.
    """

    def __init__(self, sources, spec=None, min_paragraph_words=5):
        self.sources = list(sources)
        self.spec = spec
        self.min_paragraph_words = min_paragraph_words

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
                paragraphs = clean_paragraphs(
                    raw.text,
                    self.min_paragraph_words,
                    raw.line_breaks,
                    raw.wiki,
                )
                if paragraphs:
                    yield (index, count), "\n".join(paragraphs)

    def batches(self, start=(0, 0), max_texts=1024, max_characters=1 << 18):
        """Yields the texts in lists.

        Args:
            start: See `texts`.
            max_texts: int. Defaults to 1024.
            max_characters: int. A list ends with the text that reaches it.
                Defaults to 256 K.

        Yields:
            `(place, texts)`, the place after the last of the texts.
        """
        batch, size = [], 0
        for place, text in self.texts(start):
            batch.append(text)
            size += len(text)
            if size >= max_characters or len(batch) >= max_texts:
                yield place, batch
                batch, size = [], 0
        if batch:
            yield place, batch

    def signature(self):
        """Returns a list that changes whenever a source does."""
        return [source.signature() for source in self.sources]


class TfdsTexts:
    """The `"text"` feature of one split of a TFDS data set.

    Args:
        spec, data_dir, download: See `TfdsExamples`.
        wiki: See `TextFile`; None means: if the name says so.
    """

    def __init__(self, spec, data_dir=None, download=False, wiki=None):
        self.name = spec
        self.wiki = "wiki" in spec if wiki is None else wiki
        self._examples = TfdsExamples(spec, ("text",), data_dir, download)

    def signature(self):
        """Returns what distinguishes this state of the data set."""
        return [self.wiki, *self._examples.signature()]

    def texts(self):
        """Yields a `RawText` for each example, in the stored order."""
        for example in self._examples:
            text = example["text"].decode("utf-8", "replace")
            yield RawText(text, True, self.wiki)


def open_corpus(
    spec,
    texts="auto",
    min_paragraph_words=5,
    data_dir=None,
    download=False,
    wiki=None,
):
    """Opens text files or a TFDS data set as a corpus.

    Args:
        spec: str, or a list of them, each one of: a file (also `.gz`,
            `.bz2`, `.xz`), a folder (every file below it that is not hidden),
            a glob (`**` goes down), or
            `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`. WikiExtractor's files are
            recognised. Files are read in the order of their names.
        texts: What one text is in a plain file: `"auto"`, `"file"`, `"line"`
            or `"blank_line"`, see `TextFile`. Defaults to `"auto"`.
        min_paragraph_words: int. Shorter paragraphs are dropped. Defaults to
            5.
        data_dir: The folder of prepared TFDS data sets, or None. Defaults to
            None.
        download: Whether TFDS may download. Defaults to False.
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
            sources.append(TfdsTexts(entry, data_dir, download, wiki))
            continue
        paths = [path for path in _find_files(entry) if path not in seen]
        seen.update(paths)
        sources.extend(TextFile(path, texts, wiki) for path in paths)
    return Corpus(sources, spec, min_paragraph_words)


def _find_files(entry):
    """Returns the files that a path or glob stands for, sorted."""
    entry = os.path.expanduser(entry)
    matches = [entry]
    if not os.path.exists(entry):
        hidden = set(files.HIDDEN_NAMES) - set(pathlib.Path(entry).parts)
        matches = [
            match
            for match in sorted(glob.glob(entry, recursive=True))
            if hidden.isdisjoint(pathlib.Path(match).parts)
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
