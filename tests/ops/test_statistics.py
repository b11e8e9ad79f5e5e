import numpy as np
import pytest
from keras import ops

from glomo_keras.ops.equations import admissible_edges
from glomo_keras.ops.statistics import NUM_POSITIONS
from glomo_keras.ops.statistics import edge_statistics
from glomo_keras.ops.statistics import layer_statistics
from glomo_keras.ops.statistics import row_shortfall
from tests import reference
from tests.backends import to_tensors
from tests.layers.graph_inputs import factors


def test_statistics_of_three_positions_by_hand():
    positions = ops.arange(3)
    allowed = admissible_edges(positions, positions, "forward")
    weights = np.zeros((1, 2, 3, 3), "float32")
    weights[0, 0, 1, 0] = 1  # head 0 has one edge of three, one empty row
    weights[0, 1, 2] = 0.5, 0.5, 0  # head 1 two, one empty row
    weights = ops.convert_to_tensor(weights)
    density, empty = edge_statistics(weights, allowed)
    np.testing.assert_allclose([float(density), float(empty)], [0.5, 0.5])
    nothing = edge_statistics(weights * 0, ops.zeros((3, 3), "bool"))
    assert [float(x) for x in nothing] == [0, 0]


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("length", [7, NUM_POSITIONS + 8])
def test_statistics_are_those_of_the_first_sequence(direction, length):
    made = factors(None, 2, length, 3, direction=direction)
    made["padding_mask"][0, 5] = False
    found = [float(x) for x in layer_statistics(to_tensors(made))]
    count = min(length, NUM_POSITIONS)
    graph = reference.graph(made)[:1, :, :count, :count]
    allowed = reference.admissible(length, direction, made["padding_mask"])
    allowed = allowed[:1, None, :count, :count]
    density = (graph > 0).sum() / (2 * allowed.sum())
    fillable = 2 * allowed.any(-1).sum()
    empty = (fillable - (graph > 0).any(-1).sum()) / fillable
    if length == 7 or direction == "forward":
        np.testing.assert_allclose(found, [density, empty], rtol=1e-5)
    else:  # an edge may lead beyond the columns that are looked at
        np.testing.assert_allclose(found[0], density, rtol=1e-5)


def test_rows_are_the_positions_of_the_factors():
    made = factors(layers=None, length=7, mask=False)
    rows = [6, 1]
    for name in ("queries", "thresholds"):
        made[name] = made[name][:, :, rows]
    made["positions"] = np.array(rows)
    density, _ = layer_statistics(to_tensors(made), activation="square")
    np.testing.assert_allclose(float(density), 1.0)


def test_shortfall_of_three_positions_by_hand():
    """Head 0 is short of 0.1 by 1.1 in its two rows, head 1 has its edges."""
    made = {
        "queries": np.ones((2, 2, 3, 1), "float32"),
        "past_keys": np.ones((2, 2, 3, 1), "float32"),
        "thresholds": np.array([[[2.0] * 3, [0.0] * 3]] * 2, "float32"),
    }
    found = float(row_shortfall(to_tensors(made)))
    np.testing.assert_allclose(found, 1.1 / 2, rtol=1e-6)


def test_shortfall_leaves_padding_and_rows_without_sources_out():
    made = factors(layers=None)
    made["padding_mask"][0] = False
    assert float(row_shortfall(to_tensors(made))) == 0
    made["padding_mask"][0, :3] = True
    expected = float(row_shortfall(to_tensors(made)))
    short = {
        name: values[:, :, :3] if name != "padding_mask" else values[:, :3]
        for name, values in made.items()
    }
    np.testing.assert_allclose(
        float(row_shortfall(to_tensors(short))), expected, rtol=1e-6
    )
