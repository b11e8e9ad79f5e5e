"""Maps the ways to type a word to one: apostrophes, NFC, NFD, keyboards."""

import functools
import re
import unicodedata

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # grave, acute, tilde, hook, dot
_LETTER_MARKS = "\u0302\u0306\u031b"  # circumflex, breve, horn
_TONE_AND_LETTER_MARK = re.compile(f"([{_TONES}])([{_LETTER_MARKS}])")
_TONE = re.compile(f"([{_TONES}])")
_VOWEL_AND_SHADDA = re.compile("([\u064b-\u0650\u0670])\u0651")


def normalized(word):
    """Returns a word as `normalize_unicode` writes it: NFC, straight quotes."""
    word = word.replace("‘", "'").replace("’", "'")
    return unicodedata.normalize("NFC", word)


def other_forms(vocabulary):
    """Maps other ways to type the words of a vocabulary to the words.

    Args:
        vocabulary: Iterable of str.

    Returns:
        Dict from the forms that are not words themselves to the words.
    """
    known = set(vocabulary)
    return {
        form: word
        for word in vocabulary
        if not word.isascii()
        for form in _forms(normalized(word))
        if form not in known
    }


def _forms(composed):
    """Yields the ways in which keyboards and systems write a word in NFC."""
    combining = unicodedata.normalize("NFD", composed)
    yield composed
    yield combining
    # Devanagari, Hebrew: letters that Unicode no longer composes.
    yield re.sub(_uncomposed_pattern(), lambda x: _uncomposed()[x[0]], composed)
    # Vietnamese in CP1258: a letter with its mark, then the tone.
    tone_last = _TONE_AND_LETTER_MARK.sub(r"\2\1", combining)
    yield "".join(
        unicodedata.normalize("NFC", part) for part in _TONE.split(tone_last)
    )
    yield _VOWEL_AND_SHADDA.sub("\u0651\\1", composed)  # Arabic


@functools.cache
def _uncomposed():
    """Maps sequences to the characters that NFC splits into them."""
    characters = map(chr, range(0x80, 0x10000))
    normal = ((unicodedata.normalize("NFC", x), x) for x in characters)
    return {form: x for form, x in normal if form != x and len(form) > 1}


@functools.cache
def _uncomposed_pattern():
    longest_first = sorted(_uncomposed(), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def replace_tokens(tokens, replacements):
    """Replaces whole tokens without a lookup table.

    A lookup table is a resource that an exported function would have to track.
    """
    import tensorflow as tf

    if not replacements:
        return tokens
    keys = tf.constant(list(replacements))
    hashes = _hash(keys)
    order = tf.argsort(hashes)
    flat = tf.reshape(tokens, [-1])
    places = tf.searchsorted(tf.gather(hashes, order), _hash(flat))
    nearest = tf.gather(order, tf.minimum(places, len(replacements) - 1))
    found = tf.equal(tf.gather(keys, nearest), flat)
    values = tf.gather(list(replacements.values()), nearest)
    return tf.reshape(tf.where(found, values, flat), tf.shape(tokens))


def _hash(tokens):
    import tensorflow as tf

    return tf.strings.to_hash_bucket_fast(tokens, 2**62)
