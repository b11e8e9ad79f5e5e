"""Parts of a corpus that can be read, and tokenised, on their own."""

from typing import NamedTuple

from glomo_keras.data.lines import BrokenFile
from glomo_keras.data.text.corpus import clean_text

BYTES_PER_WORD = 4
"""So few that a part of a corpus seldom fills more than one shard."""


class Span(NamedTuple):
    """A stretch of one source.

    Attributes:
        source: int, its number in the corpus.
        start, stop: What the `texts` of the source takes.
    """

    source: int
    start: int
    stop: int | None


def plan_parts(sources, num_bytes):
    """Divides sources into parts of about one size.

    Large sources are cut and small ones put together, in their order. The
    parts depend on the sources alone, whoever works on them.

    Args:
        sources: List of sources, see `Corpus`. One without `spans` is a part
            of its own.
        num_bytes: int, the most bytes of a part, unless a source cannot be
            cut.

    Returns:
        List of parts, each a list of `Span`.
    """
    parts, size = [], 0
    for number, source in enumerate(sources):
        spans = [(0, None, num_bytes)]
        if hasattr(source, "spans"):
            spans = source.spans(num_bytes)
        for start, stop, span_bytes in spans:
            if not parts or size + span_bytes > num_bytes:
                parts.append([])
                size = 0
            parts[-1].append(Span(number, start, stop))
            size += span_bytes
    return parts


class PartReader:
    """Reads parts of a corpus, on this machine or another.

    Args:
        min_paragraph_words: See `Corpus`.
        skip_broken: Whether to go on after a file that is broken. Otherwise
            it raises `BrokenFile`.

    Attributes:
        broken: List of dicts of `file` and `fault`, str, the broken files met
            since `texts` was called.
    """

    def __init__(self, min_paragraph_words, skip_broken):
        self.min_paragraph_words = min_paragraph_words
        self.skip_broken = skip_broken
        self.broken = []

    def texts(self, pieces):
        """Yields the cleaned texts of a part.

        Of a broken file it yields the texts before the fault.

        Args:
            pieces: List of `(source, start, stop)`, the source itself and the
                rest of a `Span`.

        Yields:
            `(piece, number, text)`: int, the piece's number; int, the number
            of the text in the piece, those that are left out counted; str.
        """
        self.broken = []
        for index, (source, *span) in enumerate(pieces):
            # A source without `spans` takes no arguments.
            whole = tuple(span) == (0, None)
            try:
                raw_texts = source.texts() if whole else source.texts(*span)
                for number, raw in enumerate(raw_texts):
                    text = clean_text(raw, self.min_paragraph_words)
                    if text:
                        yield index, number, text
            except BrokenFile as error:
                if not self.skip_broken:
                    raise
                fault = {"file": source.name, "fault": str(error)}
                self.broken.append(fault)


def pieces_of(sources, part):
    """Returns a part with its sources, as `PartReader` takes it."""
    return [(sources[span.source], span.start, span.stop) for span in part]
