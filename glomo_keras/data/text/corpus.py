"""Opens text corpora: files, folders, globs and TFDS names."""

import glob
import os

from glomo_keras.data.text.cleaning import clean_paragraphs
from glomo_keras.data.text.text_sources import TextFile
from glomo_keras.data.text.tfds_source import TfdsSource

BATCH_CHARACTERS = 1 << 18
BATCH_TEXTS = 1024


class Corpus:
    """An ordered list of sources, read as a stream of cleaned texts.

    Nothing is kept in memory but the text at hand.

    Args:
        sources: list of `TextFile` or `TfdsSource`.
        spec: what the user asked for, for messages.
        min_paragraph_words: int. Shorter paragraphs are dropped; a text
            without any paragraph left is skipped.
    """

    def __init__(self, sources, spec=None, min_paragraph_words=5):
        self.sources = list(sources)
        self.spec = spec
        self.min_paragraph_words = min_paragraph_words

    def texts(self, start=(0, 0)):
        """Yield `(place, text)`, the text cleaned, one paragraph a line.

        Args:
            start: a place that was yielded before: go on after it.

        Yields:
            `(place, text)`, the place being `(source, raw texts read)`.
        """
        for index in range(start[0], len(self.sources)):
            skip = start[1] if index == start[0] else 0
            raw_texts = self.sources[index].texts()
            for count, (raw, line_breaks) in enumerate(raw_texts, 1):
                if count <= skip:
                    continue
                paragraphs = clean_paragraphs(
                    raw, self.min_paragraph_words, line_breaks
                )
                if paragraphs:
                    yield (index, count), "\n".join(paragraphs)

    def batches(self, start=(0, 0)):
        """Yield `(place, texts)` in lists of about 256 K characters.

        Args:
            start: a place that was yielded before: go on after it.

        Yields:
            `(place, texts)`, the place after the last of the texts.
        """
        batch, size = [], 0
        for place, text in self.texts(start):
            batch.append(text)
            size += len(text)
            if size >= BATCH_CHARACTERS or len(batch) >= BATCH_TEXTS:
                yield place, batch
                batch, size = [], 0
        if batch:
            yield place, batch

    def as_dataset(self):
        """Return a `tf.data.Dataset` of the cleaned texts, scalar strings."""
        import tensorflow as tf

        return tf.data.Dataset.from_generator(
            lambda: (text for _, text in self.texts()),
            output_signature=tf.TensorSpec([], tf.string),
        )

    def signature(self):
        """Return a list that changes whenever a source does."""
        return [source.signature() for source in self.sources]


def open_corpus(
    spec, texts="auto", min_paragraph_words=5, data_dir=None, download=False
):
    """Open text files or a TFDS dataset as a corpus.

    Args:
        spec: str, or a list of them, each one of: a file (also `.gz`,
            `.bz2`, `.xz`), a folder (every file below it that is not hidden),
            a glob (`**` goes down), or
            `tfds:NAME[/CONFIG][:VERSION][:SPLIT]`. WikiExtractor files are
            recognised. Files are read in the order of their names.
        texts: what one text is in a plain file: `"auto"`, `"file"`, `"line"`
            or `"blank_line"`, see `TextFile`.
        min_paragraph_words: int. Shorter paragraphs are dropped.
        data_dir: str or None, the folder of prepared TFDS datasets.
        download: bool. Whether TFDS may download.

    Returns:
        A `Corpus`.

    Raises:
        FileNotFoundError: if a path or glob matches no file, or a TFDS
            dataset is not prepared.
        ValueError: if `spec` is empty.

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
            sources.append(TfdsSource(entry, data_dir, download))
            continue
        paths = [path for path in _find_files(entry) if path not in seen]
        seen.update(paths)
        sources.extend(TextFile(path, texts) for path in paths)
    return Corpus(sources, spec, min_paragraph_words)


def _find_files(entry):
    """Return the files that a path or glob stands for, sorted."""
    entry = os.path.expanduser(entry)
    matches = [entry]
    if not os.path.exists(entry):
        matches = sorted(glob.glob(entry, recursive=True))
    paths = []
    for match in matches:
        paths.extend(_walk(match) if os.path.isdir(match) else [match])
    paths = [path for path in paths if os.path.isfile(path)]
    if not paths:
        raise FileNotFoundError(
            f"No text file found: nothing matches. Received: {entry!r}"
        )
    return paths


def _walk(folder):
    """Yield the files below a folder that are not hidden, in order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.join(parent, name)
