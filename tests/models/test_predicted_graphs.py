"""PredictedGraphs: the precision in which queries and keys are made.

Its graphs are tested with the models that take them.
"""

import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import inputs
from tests.models.small_models import small_predictor


def queries(source):
    return to_numpy(source(inputs())["forward_graphs"]["queries"])


@pytest.mark.parametrize("own", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_queries_are_made_in_the_precision_asked_for(own, dtype):
    source = gk.models.PredictedGraphs(small_predictor(dtype=own), dtype=dtype)
    assert source.predictor.dtype_policy.name == dtype
    found = queries(source)
    np.testing.assert_array_equal(
        found, queries(gk.models.PredictedGraphs(small_predictor(dtype=dtype)))
    )
    again = gk.models.PredictedGraphs.from_config(source.get_config())
    again.set_weights(source.get_weights())
    np.testing.assert_array_equal(found, queries(again))


def test_precisions_differ():
    one, other = (
        queries(gk.models.PredictedGraphs(small_predictor(), dtype=dtype))
        for dtype in ("float32", "mixed_bfloat16")
    )
    assert one.dtype == other.dtype == "float32"
    assert 0 < np.abs(one - other).max() < 0.1
