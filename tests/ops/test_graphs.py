import pytest

from glomo_keras.ops.graphs import graph_shape

SHAPES = {
    "queries": (2, 3, 4, 7, 5),
    "keys": (2, 3, 4, 7, 5),
    "thresholds": (2, 3, 4, 7),
}


def test_factors_stand_for_a_graph_of_this_shape():
    assert graph_shape(SHAPES) == (2, 3, 4, 7, 7)
    assert graph_shape((2, 3, 4, 7, 7)) == (2, 3, 4, 7, 7)


def test_missing_factor_is_named():
    shapes = {k: v for k, v in SHAPES.items() if k != "keys"}
    with pytest.raises(ValueError, match=r"'keys'.*Received: .*'queries'"):
        graph_shape(shapes)


def test_factors_that_disagree_are_refused():
    with pytest.raises(ValueError, match="one rank.*Received"):
        graph_shape({**SHAPES, "thresholds": (2, 3, 4)})
