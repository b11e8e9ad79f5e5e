"""Converts between characters of a text and spans of its tokens."""

import numpy as np

from glomo_keras.utils.validation import check_positive


def cover_span(offsets, start, end):
    """Finds the smallest span of tokens that covers some characters.

    Args:
        offsets: int array `(T, 2)`, where the tokens start and end.
        start, end: ints, the first character and the one after the last.

    Returns:
        `(first, last)`, tokens, both included; None where the characters
        touch no token.

    Example:

    >>> offsets = np.array([[0, 3], [4, 8], [8, 9]])
    >>> cover_span(offsets, 5, 9)  # starts within a token
    (1, 2)
    """
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else None


def span_text(text, offsets, span):
    """Returns the characters from the first to the last token of a span.

    Args:
        text: str, untouched.
        offsets: int array `(T, 2)`.
        span: `(first, last)`, or None.

    Returns:
        str; empty where the text has no token, or the span is None.
    """
    if span is None or not len(offsets):
        return ""
    first, last = span
    return text[offsets[first][0] : offsets[last][1]]


def decode_spans(start_logits, end_logits, max_tokens=16):
    """Finds the likeliest spans: highest `start_i + end_j` with `i <= j`.

    Args:
        start_logits, end_logits: arrays `(B, T)`, very low on padding.
        max_tokens: int, the longest span; 16 allows `j - i <= 15`, as the
            released code does. Defaults to `16`.

    Returns:
        Int array `(B, 2)`: first and last token, both included. Of equal
        spans the first.

    Raises:
        ValueError: If `max_tokens` is below 1, or a logit is NaN.

    Example:

    >>> decode_spans([[0.0, 2.0, 0.0]], [[9.0, 0.0, 1.0]])
    array([[0, 0]])
    >>> decode_spans([[0.0, 2.0, 0.0]], [[0.5, 0.0, 1.0]])
    array([[1, 2]])
    """
    check_positive(max_tokens=max_tokens)
    starts = np.asarray(start_logits, "float32")
    ends = np.asarray(end_logits, "float32")
    if np.isnan(starts).any() or np.isnan(ends).any():
        raise ValueError(
            "`start_logits` and `end_logits` must be numbers: has the training "
            f"diverged? Received: {np.isnan(starts).sum()} start and "
            f"{np.isnan(ends).sum()} end logits that are NaN"
        )
    batch, length = starts.shape
    width = min(max_tokens, length)
    padded = np.pad(
        ends, ((0, 0), (0, width - 1)), constant_values=-np.inf
    )  # (B, T + width - 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    scores = starts[:, :, None] + windows  # (B, T, width)
    best = scores.reshape(batch, -1).argmax(axis=1)
    first = best // width
    return np.stack([first, first + best % width], axis=1)
