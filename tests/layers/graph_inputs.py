"""Random factors, masks and features for the tests of ops and layers."""

import numpy as np

LENGTHS = (7, 4)  # real units of the two sequences


def padding_mask(units=7, lengths=LENGTHS):
    return np.arange(units) < np.array(lengths)[:, None]


def factors(layers=3, heads=4, units=7, width=5, batch=2, seed=0, mask=True):
    """Factors of a graph; of one layer if `layers` is None."""
    rng = np.random.default_rng(seed)
    head = (batch, heads) if layers is None else (batch, layers, heads)

    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    made = {
        "queries": normal(*head, units, width),
        "keys": normal(*head, units, width),
        "thresholds": normal(*head, units),
    }
    if mask:
        made["padding_mask"] = padding_mask(units)
    return made


def features(width=8, units=7, batch=2, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, units, width)).astype("float32")
