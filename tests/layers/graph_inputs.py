"""Random factors, masks and features for the tests of ops and layers."""

import numpy as np

KEYS = {"forward": "past_keys", "backward": "future_keys"}

LENGTHS = (7, 4)  # real positions of the two sequences


def padding_mask(length=7, lengths=LENGTHS):
    return np.arange(length) < np.array(lengths)[:, None]


def factors(
    layers=3,
    heads=4,
    length=7,
    width=5,
    batch=2,
    seed=0,
    mask=True,
    direction="forward",
):
    """Factors of a graph; of one layer if `layers` is None."""
    rng = np.random.default_rng(seed)
    head = (batch, heads) if layers is None else (batch, layers, heads)

    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    made = {
        "queries": normal(*head, length, width),
        KEYS[direction]: normal(*head, length, width),
        "thresholds": normal(*head, length),
    }
    if mask:
        made["padding_mask"] = padding_mask(length)
    return made


def features(width=8, length=7, batch=2, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, length, width)).astype("float32")
