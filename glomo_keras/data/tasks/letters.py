"""The letters of words, as numbers for a character CNN."""

import collections

import numpy as np

PAD_LETTER = 0
UNKNOWN_LETTER = 1
FIRST_LETTER = 2


def frequent_letters(words, counts, min_count=50):
    """Returns the letters that occur often enough to have their own id.

    Args:
        words: sequence of V str.
        counts: int sequence `(V,)`, how often each word occurs.
        min_count: int, the least occurrences of a letter. Defaults to 50.

    Returns:
        str, the letters, the most frequent first (ties by code point).

    Example:

    >>> frequent_letters(["see", "ten"], [2, 1], min_count=2)
    'es'
    """
    totals = collections.Counter()
    for word, count in zip(words, counts, strict=True):
        if count:
            for letter in word:
                totals[letter] += int(count)
    kept = [letter for letter, count in totals.items() if count >= min_count]
    return "".join(sorted(kept, key=lambda letter: (-totals[letter], letter)))


def letter_ids(words, letters, width=16):
    """Numbers the first letters of words.

    Args:
        words: sequence of V str.
        letters: str, the letters that have a number: 2, 3, ...; any other
            letter is 1, padding 0.
        width: int W, letters of a word that count. Defaults to 16.

    Returns:
        Int32 array `(V, W)`.

    Example:

    >>> letter_ids(["", "sees", "ten"], "es", width=3)
    array([[0, 0, 0],
           [3, 2, 2],
           [1, 2, 1]], dtype=int32)
    """
    numbers = {letter: i for i, letter in enumerate(letters, FIRST_LETTER)}
    ids = np.full((len(words), width), PAD_LETTER, "int32")
    for row, word in zip(ids, words, strict=True):
        found = [numbers.get(c, UNKNOWN_LETTER) for c in word[:width]]
        row[: len(found)] = found
    return ids
