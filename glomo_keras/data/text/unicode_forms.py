"""One word typed in several ways: apostrophes, NFC and NFD."""

import unicodedata


def normalized(word):
    """Returns a word as `normalize_unicode` writes it: NFC, straight quotes."""
    word = word.replace("‘", "'").replace("’", "'")
    return unicodedata.normalize("NFC", word)


def other_forms(vocabulary):
    """Maps the composed and the combining form of each word to the word."""
    known = set(vocabulary)
    return {
        form: word
        for word in vocabulary
        if not word.isascii()
        for form in (
            normalized(word),
            unicodedata.normalize("NFD", normalized(word)),
        )
        if form not in known
    }


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
