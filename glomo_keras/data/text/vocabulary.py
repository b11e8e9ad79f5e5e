"""Vocabularies: lists of tokens whose position is the token id."""

import collections

PAD_TOKEN = "<pad>"
UNKNOWN_TOKEN = "<unk>"
PAD_ID = 0
UNKNOWN_ID = 1


def check_vocabulary(vocabulary):
    """Checks that a list of tokens can serve as a vocabulary.

    Args:
        vocabulary: sequence of str; `"<pad>"` at 0, `"<unk>"` at 1.

    Returns:
        The vocabulary as a list.

    Raises:
        ValueError: If a special token is missing or misplaced, or a token
            occurs twice or holds a line break.
    """
    vocabulary = list(vocabulary)
    if vocabulary[:2] != [PAD_TOKEN, UNKNOWN_TOKEN]:
        raise ValueError(
            "A vocabulary starts with '<pad>' (id 0) and '<unk>' (id 1). "
            f"Received: vocabulary[:2]={vocabulary[:2]}"
        )
    counts = collections.Counter(vocabulary)
    if len(counts) < len(vocabulary):
        twice = [word for word, count in counts.items() if count > 1]
        raise ValueError(
            "Every token of a vocabulary occurs once. "
            f"Received: {len(twice)} repeated tokens, such as {twice[:5]}"
        )
    broken = [word for word in vocabulary if "\n" in word or not word]
    if broken:
        raise ValueError(
            "A token is not empty and holds no line break. "
            f"Received: {broken[:5]}"
        )
    return vocabulary


def build_vocabulary(counts, vocabulary_size):
    """Orders words by falling count (ties by word) and cuts the list.

    Args:
        counts: dict of word to count.
        vocabulary_size: int, the most entries, the two special ones included.

    Returns:
        List of str: `"<pad>"`, `"<unk>"`, then the most frequent words.

    Raises:
        ValueError: If `vocabulary_size` leaves no room for a word.

    Example:

    >>> build_vocabulary({"b": 2, "a": 2, "c": 5, "d": 1}, 5)
    ['<pad>', '<unk>', 'c', 'a', 'b']
    """
    if vocabulary_size < 3:
        raise ValueError(
            "vocabulary_size counts '<pad>' and '<unk>' and is at least 3. "
            f"Received: vocabulary_size={vocabulary_size}"
        )
    special = (PAD_TOKEN, UNKNOWN_TOKEN)
    words = [word for word in counts if word not in special]
    words.sort(key=lambda word: (-counts[word], word))
    return [*special, *words[: vocabulary_size - 2]]
