"""Metrics of pretraining, by hand."""

import numpy as np
import pytest

import glomo_keras as gk

VALUES, WEIGHTS = [0.0, np.log(4.0)], [1, 3]


@pytest.mark.parametrize(
    ("metric_class", "expected"),
    [
        (gk.metrics.CrossEntropy, 0.75 * np.log(4.0)),
        (gk.metrics.Perplexity, 4**0.75),
        (gk.metrics.BitsPerDimension, 1.5),
    ],
)
def test_mean_is_weighted_and_nan_at_first(metric_class, expected):
    metric = metric_class()
    assert np.isnan(float(metric.result()))
    metric.update_state(VALUES, sample_weight=WEIGHTS)
    assert float(metric.result()) == pytest.approx(expected)
    metric.reset_state()
    assert np.isnan(float(metric.result()))
