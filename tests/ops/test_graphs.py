import numpy as np
import pytest

from glomo_keras.ops import graphs
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.layers.graph_inputs import factors

SHAPES = {
    "queries": (2, 3, 4, 7, 5),
    "past_keys": (2, 3, 4, 7, 5),
    "thresholds": (2, 3, 4, 7),
}


def without(name):
    return {k: v for k, v in SHAPES.items() if k != name}


def test_factors_stand_for_a_graph_of_this_shape():
    assert graphs.graph_shape(SHAPES) == (2, 3, 4, 7, 7)
    assert graphs.graph_shape((2, 3, 4, 7, 7)) == (2, 3, 4, 7, 7)
    some_rows = {**SHAPES, "queries": (2, 4, 3, 5), "thresholds": (2, 4, 3)}
    some_rows["past_keys"] = (2, 4, 7, 5)
    assert graphs.graph_shape(some_rows) == (2, 4, 3, 7)


@pytest.mark.parametrize("name", ["queries", "past_keys", "thresholds"])
def test_missing_factor_is_named(name):
    with pytest.raises(ValueError, match=f"'{name}'.*Received: "):
        graphs.graph_shape(without(name))


def test_two_directions_in_one_graph_are_refused():
    both = {**SHAPES, "future_keys": SHAPES["past_keys"]}
    with pytest.raises(ValueError, match="either 'past_keys'.*Received: "):
        graphs.graph_shape(both)


def test_factors_that_disagree_are_refused():
    with pytest.raises(ValueError, match="same rank.*Received"):
        graphs.graph_shape({**SHAPES, "thresholds": (2, 3, 4)})


@pytest.mark.parametrize("direction", graphs.DIRECTIONS)
def test_direction_is_the_name_of_the_keys(direction):
    made = factors(direction=direction)
    assert graphs.direction_of(made) == direction
    np.testing.assert_array_equal(
        graphs.keys_of(made), made[graphs.KEYS[direction]]
    )


def test_a_graph_under_the_other_directions_name_is_refused():
    forward, backward = (factors(direction=d) for d in graphs.DIRECTIONS)
    fine = {"forward_graphs": forward, "backward_graphs": backward}
    assert graphs.checked_directions(fine) == ["forward", "backward"]
    for wrong in (
        {"forward_graphs": backward},
        {"forward_graphs": forward, "backward_graphs": forward},
    ):
        with pytest.raises(ValueError, match="whose keys.*Received: "):
            graphs.checked_directions(wrong)


@pytest.mark.parametrize("direction", graphs.DIRECTIONS)
def test_layers_are_split_and_joined(direction):
    made = to_tensors(factors(direction=direction))
    layers = graphs.split_layers(made)
    assert len(layers) == 3
    for index, layer in enumerate(layers):
        assert set(layer) == set(made)
        for name in graphs.factor_names(made):
            np.testing.assert_array_equal(
                to_numpy(layer[name]), to_numpy(made[name])[:, index]
            )
    joined = graphs.join_layers(layers)
    assert set(joined) == set(made)
    for name, factor in made.items():
        np.testing.assert_array_equal(to_numpy(joined[name]), to_numpy(factor))


def test_layers_of_a_tensor_are_split():
    graph = to_tensors(np.arange(2 * 3 * 4 * 9.0).reshape(2, 3, 4, 3, 3))
    for index, layer in enumerate(graphs.split_layers(graph)):
        np.testing.assert_array_equal(
            to_numpy(layer), to_numpy(graph)[:, index]
        )


def test_layers_of_an_array_are_split():
    graph = np.arange(2 * 3 * 4 * 9.0).reshape(2, 3, 4, 3, 3)
    for index, layer in enumerate(graphs.split_layers(graph)):
        np.testing.assert_array_equal(to_numpy(layer), graph[:, index])
