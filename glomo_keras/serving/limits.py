"""Checks in the graph of an export, made before it computes anything big.

Each function returns operations to run first: `tf.control_dependencies`.
"""


def check_not_empty(name, shape):
    """Refuses a batch of no rows, and rows of no positions.

    Args:
        name: The input, for the message.
        shape: int32 tensor, its shape.
    """
    import tensorflow as tf

    return _check(
        tf.reduce_all(shape > 0),
        f"{name} must not be empty: give at least one row and one position",
        ("shape {}", [shape]),
    )


def check_mask(ids_shape, mask_shape):
    """Refuses a mask of another shape than its ids."""
    import tensorflow as tf

    return _check(
        tf.reduce_all(tf.equal(ids_shape, mask_shape)),
        "token_ids and padding_mask must have the same shape",
        ("shapes {} and {}", [ids_shape, mask_shape]),
    )


def check_lengths(lengths, ids_shape):
    """Refuses lengths that do not fit their ids."""
    import tensorflow as tf

    fit = tf.reduce_all((lengths >= 0) & (lengths <= ids_shape[1]))
    return _check(
        tf.equal(tf.shape(lengths)[0], ids_shape[0]) & fit,
        "length must have one number for each row of token_ids, from 0 to the "
        "number of its positions",
        ("length {} and token_ids of shape {}", [lengths, ids_shape]),
    )


def check_length(length, max_length):
    """Refuses more than `max_length` positions; None is no limit."""
    if max_length is None:
        return []
    return _check(
        length <= max_length,
        f"This model takes at most {max_length} positions. Shorten the input "
        "or split it",
        ("{} positions", [length]),
    )


def check_characters(text, max_characters):
    """Refuses texts of more than `max_characters`; None is no limit."""
    import tensorflow as tf

    if max_characters is None:
        return []
    # Bytes that are not UTF-8 are counted as the characters they are read as.
    text = tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace"
    )
    lengths = tf.strings.length(text, unit="UTF8_CHAR")  # (B,)
    longest = tf.reduce_max(lengths)
    return _check(
        longest <= max_characters,
        f"This model takes texts of at most {max_characters} characters. "
        "Shorten the text or split it",
        ("{} characters", [longest]),
    )


def check_weights(weights, rows):
    """Refuses weights that are neither one set nor one for each row."""
    import tensorflow as tf

    sets = tf.shape(weights)[0]
    return _check(
        (sets == 1) | (sets == rows),
        "weights must be one set for all rows, or one for each",
        ("{} sets for {} rows", [sets, rows]),
    )


def _check(condition, message, received):
    import tensorflow as tf

    template, values = received
    text = tf.strings.format(f"{message}. Received: {template}", values)
    return [tf.debugging.Assert(condition, [text])]
