import numpy as np
import pytest
from keras import ops

from glomo_keras.ops import graphs
from glomo_keras.ops.graphs import graph_shape
from tests.backends import to_numpy
from tests.backends import value_and_gradients

TOLERANCE = 1e-5

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


def factors(length, layers):
    rng = np.random.default_rng(length)
    axes = (2, *layers, 2, length)
    return [
        rng.normal(size=shape).astype("float32")
        for shape in ((*axes, 3), (*axes, 3), axes)
    ]


@pytest.mark.parametrize("activation", ["squared_relu", "square", "softmax"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("layers", [(), (3,)])
@pytest.mark.parametrize("length", [4, 7, 9])
def test_groups_of_rows_are_those_of_the_whole(
    length, layers, direction, activation, monkeypatch
):
    mask = np.arange(length) < np.array([[length], [length - 2]])
    pulls = np.random.default_rng(0).normal(size=(2, *layers, 2, *[length] * 2))

    def total(*arrays):
        graph = graphs.materialize(
            dict(zip(graphs.FACTORS, arrays, strict=True)),
            padding_mask=ops.convert_to_tensor(mask),
            direction=direction,
            activation=activation,
        )
        return ops.sum(graph * ops.convert_to_tensor(pulls, "float32"))

    found = []
    for least in (length + 1, length):
        monkeypatch.setattr(graphs, "GROUPED_LENGTH", least)
        value, gradients = value_and_gradients(total, factors(length, layers))
        found.append([value, *gradients])
    for whole, grouped in zip(*found, strict=True):
        np.testing.assert_allclose(grouped, whole, atol=TOLERANCE)


def test_an_infinite_score_in_the_padding_has_no_effect():
    queries, keys, thresholds = factors(5, ())
    mask = np.arange(5) < np.array([[5], [3]])
    graph = {"queries": queries, "keys": keys, "thresholds": thresholds}
    far = {**graph, "keys": np.where(mask[:, None, :, None], keys, 3e38)}
    found, expected = (
        to_numpy(
            graphs.materialize(
                {name: ops.convert_to_tensor(x) for name, x in one.items()},
                padding_mask=ops.convert_to_tensor(mask),
                direction="forward",
                activation="squared_relu",
            )
        )
        for one in (far, graph)
    )
    np.testing.assert_array_equal(found, expected)
