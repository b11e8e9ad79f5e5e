"""The schedule of rise and fall."""

import numpy as np

from glomo_keras.training.warmup_cosine import warmup_cosine


def test_rate_rises_to_the_highest_and_falls_to_a_share_of_it():
    schedule = warmup_cosine(1.0, 10, 2, first=0.5, alpha=0.2)
    found = [float(schedule(step)) for step in (0, 1, 2, 6, 10, 11)]
    np.testing.assert_allclose(found, [0.5, 0.75, 1, 0.6, 0.2, 0.2], atol=1e-6)
