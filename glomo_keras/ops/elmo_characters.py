"""ELMo's character ids; numpy alone, for data pipelines too."""

import numpy as np

# Ids of AllenNLP: bytes, then special characters, plus one; 0 is padding.
BEGIN_SENTENCE = 257
END_SENTENCE = 258
BEGIN_WORD = 259
END_WORD = 260
PADDED_CHARACTER = 261
NUM_CHARACTERS = 262


def word_ids(characters, max_characters):
    """Returns the character ids of one word.

    Args:
        characters: sequence of ids without padding; what does not fit between
            the marks of the word's ends is cut off.
        max_characters: integer C.

    Returns:
        int32 array `(C,)`.
    """
    ids = np.full(max_characters, PADDED_CHARACTER, dtype="int32")
    inner = list(characters)[: max_characters - 2]
    word = [BEGIN_WORD, *inner, END_WORD]
    ids[: len(word)] = word
    return ids
