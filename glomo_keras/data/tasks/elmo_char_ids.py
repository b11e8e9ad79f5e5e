"""Words as ELMo's character ids."""

import numpy as np

from glomo_keras.ops import elmo_characters


def elmo_char_ids(tokens, max_length=None, max_characters=50):
    """Turns the words of texts into character ids.

    The characters are the bytes of UTF-8. A word of more than
    `max_characters - 2` bytes loses its end. Marks of the sentences' ends are
    not among the ids: `layers.ElmoLanguageModel` adds them.

    Args:
        tokens: sequence of B sequences of words, each str or UTF-8 bytes, not
            lower-cased.
        max_length: int or None. Longer texts lose their end. T is the longest
            remaining text, and at least 1. Defaults to `None`.
        max_characters: int C, at least 3. Defaults to `50`.

    Returns:
        int32 array (B, T, C), 0 in the padding.

    Raises:
        TypeError: If a text is one string rather than a sequence of words.
        ValueError: If `max_characters` leaves no room for a character.

    Example:

    >>> ids = elmo_char_ids([["Hi", "!"], ["Oh"]], max_characters=5)
    >>> ids[0].tolist()
    [[259, 73, 106, 260, 261], [259, 34, 260, 261, 261]]
    >>> ids[1].tolist()
    [[259, 80, 105, 260, 261], [0, 0, 0, 0, 0]]
    """
    if max_characters < 3:
        raise ValueError(
            "`max_characters` counts the two marks of a word's ends and is "
            f"at least 3. Received: max_characters={max_characters}"
        )
    texts = [_checked(text)[:max_length] for text in tokens]
    length = max([1, *map(len, texts)])
    char_ids = np.zeros((len(texts), length, max_characters), dtype="int32")
    known = {}
    for row, text in zip(char_ids, texts, strict=True):
        for place, word in enumerate(text):
            if word not in known:
                known[word] = _ids(word, max_characters)
            row[place] = known[word]
    return char_ids


def _checked(text):
    if isinstance(text, str | bytes):
        raise TypeError(
            "`tokens` holds a sequence of words for each text. "
            f"Received: {text[:40]!r} for a text"
        )
    return list(text)


def _ids(word, max_characters):
    if isinstance(word, str):
        # A lone surrogate is not UTF-8, but texts may contain one.
        word = word.encode("utf-8", "replace")
    return elmo_characters.word_ids([byte + 1 for byte in word], max_characters)
