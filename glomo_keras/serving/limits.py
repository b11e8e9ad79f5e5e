"""What the graph of an export refuses, before it computes anything big.

Each function returns operations to run first: `tf.control_dependencies`.
"""


def refuse_empty(what, shape):
    """Refuses a batch of no rows, and rows of no units.

    Args:
        what: name of the input, for the message.
        shape: int32 tensor, its shape.
    """
    import tensorflow as tf

    return _check(
        tf.reduce_all(shape > 0),
        f"{what} must not be empty: give at least one row and one unit",
        ("shape {}", [shape]),
    )


def refuse_other_shape(ids_shape, mask_shape):
    """Refuses a mask that does not fit its ids."""
    import tensorflow as tf

    return _check(
        tf.reduce_all(tf.equal(ids_shape, mask_shape)),
        "token_ids and padding_mask must have the same shape",
        ("shapes {} and {}", [ids_shape, mask_shape]),
    )


def refuse_longer(units, max_length):
    """Refuses more than `max_length` units; None is no limit."""
    if max_length is None:
        return []
    return _check(
        units <= max_length,
        f"This model takes at most {max_length} units. Shorten the input or "
        "split it",
        ("{} units", [units]),
    )


def refuse_longer_text(text, max_characters):
    """Refuses texts of more than `max_characters`; None is no limit."""
    import tensorflow as tf

    if max_characters is None:
        return []
    lengths = tf.strings.length(text, unit="UTF8_CHAR")  # (B,)
    longest = tf.reduce_max(lengths)
    return _check(
        longest <= max_characters,
        f"This model takes texts of at most {max_characters} characters. "
        "Shorten the text or split it",
        ("{} characters", [longest]),
    )


def refuse_other_batch(weights, rows):
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
