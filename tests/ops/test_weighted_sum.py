import numpy as np
import pytest

from glomo_keras.ops import row_blocks
from glomo_keras.ops.edges import ACTIVATIONS
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.graphs import materialize
from glomo_keras.ops.graphs import split_layers
from glomo_keras.ops.weighted_sum import join_heads
from glomo_keras.ops.weighted_sum import split_heads
from glomo_keras.ops.weighted_sum import weighted_sum
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features

TOLERANCE = 1e-5


def test_heads_are_slices():
    x = features()
    parts = to_numpy(split_heads(x, 4))
    np.testing.assert_array_equal(parts[:, 2], x[..., 4:6])
    np.testing.assert_array_equal(to_numpy(join_heads(parts)), x)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_both_forms_equal_the_formula(
    activation, direction, blocks, monkeypatch
):
    if blocks:
        monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 2)
        monkeypatch.setattr(row_blocks, "COLUMN_GROUPS", 2)
        monkeypatch.setattr(row_blocks, "DIRECT_LIMIT", 4)
    made, x = factors(), features()
    options = {"direction": direction, "activation": activation}
    layer = reference.graph(made, **options)[:, 1]
    expected = reference.weighted_sum(layer, x.astype("float64"))
    graph = materialize(made, **options)[:, 1]
    for form in (split_layers(made)[1], graph):
        total = to_numpy(weighted_sum(form, x, **options))
        np.testing.assert_allclose(total, expected, atol=TOLERANCE)
        positions = np.array([5, 0, 5])
        some = weighted_sum(form, x, positions=positions, **options)
        np.testing.assert_allclose(
            to_numpy(some), expected[:, positions], atol=TOLERANCE
        )


def test_masks_of_graph_and_argument_are_combined():
    made, x = factors(layers=None), features()
    mask = np.arange(7) != 2
    both = {**made, "padding_mask": made["padding_mask"] & mask}
    total = weighted_sum(made, x, padding_mask=np.stack([mask, mask]))
    np.testing.assert_array_equal(
        to_numpy(total), to_numpy(weighted_sum(both, x))
    )
