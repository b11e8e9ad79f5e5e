"""Sizes and tensors of the alternatives: those of `base` with B = 8."""

BATCH, LENGTH, WIDTH, KEY_DIM, HEADS, LAYERS = 8, 200, 512, 256, 8, 3
VOCABULARY, ROWS, TAPS = 20_000, 960, 3


def tensor(*shape, seed=0):
    import keras
    import tensorflow as tf

    values = 0.05 * tf.random.stateless_normal(shape, (0, seed))
    return tf.cast(values, keras.config.dtype_policy().compute_dtype)


def factors(queries, keys):
    """A factored graph whose thresholds are 0."""
    from keras import ops

    thresholds = ops.zeros_like(queries[..., 0])
    return {"queries": queries, "keys": keys, "thresholds": thresholds}


def units():
    return tensor(BATCH, LENGTH, WIDTH)
