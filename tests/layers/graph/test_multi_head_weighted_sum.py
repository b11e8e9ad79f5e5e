import numpy as np
import pytest

from glomo_keras.layers import MultiHeadWeightedSum
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def graph(**options):
    return reference.graph(factors(layers=None, **options)).astype("float32")


@pytest.mark.parametrize(
    ("kwargs", "width", "num_weights"),
    [
        pytest.param({}, 8, 1, marks=pytest.mark.slow),
        pytest.param({"value_dim": 3}, 12, 1, marks=pytest.mark.slow),
        ({"units": 5}, 5, 2),
    ],
)
def test_layer(tmp_path, kwargs, width, num_weights):
    run_layer_test(
        MultiHeadWeightedSum,
        kwargs,
        {"features": features(), "graph": factors(layers=None)},
        tmp_path,
        (2, 7, width),
        num_weights,
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_each_head_gathers_its_own_projection(direction):
    made = factors(layers=None, direction=direction)
    whole = reference.graph(made)  # (B, K, T, T)
    layer = MultiHeadWeightedSum(value_dim=3, units=5)
    outputs = [
        to_numpy(layer(features(), form))
        for form in (made, whole.astype("float32"))
    ]
    values, output = (to_numpy(w) for w in layer.weights)
    sums = [
        whole[:, head] @ (features() @ values[:, 3 * head : 3 * head + 3])
        for head in range(4)
    ]
    expected = np.concatenate(sums, axis=-1) @ output
    for output in outputs:
        np.testing.assert_allclose(output, expected, atol=TOLERANCE)


def test_sum_of_three_positions_by_hand():
    heads = [
        [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]],
        [[0, 0, 0], [0, 0, 0], [0.25, 0.75, 0]],
    ]
    x = np.array([[[2, 8], [4, 16], [9, 9]]], "float32")
    layer = MultiHeadWeightedSum(value_dim=1)
    layer.build(x.shape, (1, 2, 3, 3))
    layer.set_weights([np.array([[1, 0], [1, 10]], "float32")])
    total = layer(x, np.array([heads], "float32"))
    np.testing.assert_allclose(to_numpy(total), [[[0, 0], [10, 0], [15, 140]]])


def test_positions_are_rows():
    positions = np.array([6, 1, 1, 0], "int32")
    layer = MultiHeadWeightedSum(units=5)
    for form in (graph(), factors(layers=None)):
        whole = to_numpy(layer(features(), form))
        some = to_numpy(layer(features(), form, positions=positions))
        np.testing.assert_allclose(some, whole[:, positions], atol=TOLERANCE)


def test_padding_changes_nothing():
    made, x = factors(layers=None), features()
    layer = MultiHeadWeightedSum()
    expected = to_numpy(layer(x, made))
    x[1, 4:] = 1e3  # the second sequence has four positions
    made["queries"][1, :, 4:] = 1e3
    np.testing.assert_allclose(
        to_numpy(layer(x, made)), expected, atol=TOLERANCE
    )


def test_width_need_not_be_divisible_by_the_heads():
    output = MultiHeadWeightedSum()(features(3), graph())
    assert output.shape == (2, 7, 4)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"value_dim": 0}, "value_dim=0"), ({"units": 2.5}, "units=2.5")],
)
def test_arguments_are_checked(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadWeightedSum(**kwargs)


def test_a_graph_of_all_layers_is_refused():
    with pytest.raises(ValueError, match=r"\(B, K, T, T\)"):
        MultiHeadWeightedSum()(features(), factors())


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="T=7 in graph"):
        MultiHeadWeightedSum()(features(length=6), graph())


def test_other_heads_than_at_first_are_refused():
    layer = MultiHeadWeightedSum()
    layer(features(), graph())
    with pytest.raises(ValueError, match="the 4 heads that.*Received: 2"):
        layer(features(), factors(layers=None, heads=2))
