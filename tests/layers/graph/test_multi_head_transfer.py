import keras
import numpy as np
import pytest

from glomo_keras.layers import MultiHeadTransfer
from tests import reference
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def graphs():
    return {
        f"{direction}_graphs": factors(seed=seed, direction=direction)
        for seed, direction in enumerate(("forward", "backward"))
    }


@pytest.mark.parametrize(
    "kwargs",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"value_dim": 3, "units": 5},
    ],
)
def test_layer(tmp_path, kwargs):
    run_layer_test(
        MultiHeadTransfer,
        kwargs,
        {"features": features(), "graphs": graphs()},
        tmp_path,
        (2, 7, 8 + kwargs.get("units", 8)),
        num_weights=2 * 3 + 4,
    )


def expected_output(layer, x, graphs):
    """From the layer's weights, one head after the other."""
    weights = {w.path: to_numpy(w) for w in layer.weights}

    def named(*parts):
        (found,) = (w for p, w in weights.items() if all(x in p for x in parts))
        return found

    messages = []
    for direction in ("forward", "backward"):
        whole = reference.graph(graphs[f"{direction}_graphs"])
        for index in range(3):
            kernel = named(f"{direction}_sum_{index}")
            width = kernel.shape[1] // 4
            for head in range(4):
                part = kernel[:, head * width : (head + 1) * width]
                messages.append(whole[:, index, head] @ (x @ part))
    joined = np.concatenate([x, *messages], axis=-1)
    value, gate = (
        joined @ named(name, "kernel") + named(name, "bias")
        for name in ("fusion/value", "fusion/gate")
    )
    return np.concatenate([x, value / (1 + np.exp(-gate))], axis=-1)


def test_every_head_has_its_own_values():
    layer = MultiHeadTransfer(value_dim=3)
    output = layer(features(), graphs())
    rng = np.random.default_rng(4)
    layer.set_weights([rng.normal(size=w.shape) / 3 for w in layer.weights])
    expected = expected_output(layer, features(), graphs())
    forms = [graphs(), {k: reference.graph(x) for k, x in graphs().items()}]
    for form in forms:
        output = to_numpy(layer(features(), form))
        np.testing.assert_allclose(output, expected, atol=TOLERANCE)


def test_a_closed_gate_leaves_the_features_alone():
    closed = keras.initializers.Constant(-50.0)
    layer = MultiHeadTransfer(gate_initializer=closed)
    output = to_numpy(layer(features(), graphs()))
    np.testing.assert_allclose(output[..., :8], features())
    np.testing.assert_allclose(output[..., 8:], 0.0, atol=TOLERANCE)


def test_one_direction_is_enough():
    forward = {"forward_graphs": graphs()["forward_graphs"]}
    assert MultiHeadTransfer()(features(), forward).shape == (2, 7, 16)


def test_other_directions_than_at_first_are_refused():
    layer = MultiHeadTransfer()
    layer(features(), {"forward_graphs": graphs()["forward_graphs"]})
    with pytest.raises(ValueError, match="directions that the layer was built"):
        layer(features(), graphs())


@pytest.mark.parametrize("sizes", [{"layers": 2}, {"heads": 2}])
def test_other_layers_or_heads_than_at_first_are_refused(sizes):
    layer = MultiHeadTransfer()
    layer(features(), {"forward_graphs": factors()})
    with pytest.raises(ValueError, match="built with, L=3, K=4.*Received"):
        layer(features(), {"forward_graphs": factors(**sizes)})


def test_a_graph_of_one_layer_is_refused():
    one = {"forward_graphs": factors(layers=None)}
    with pytest.raises(ValueError, match=r"\(B, L, K, T, T\)"):
        MultiHeadTransfer()(features(), one)


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="T=6 in features"):
        MultiHeadTransfer()(features(length=6), graphs())


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="value_dim=0"):
        MultiHeadTransfer(value_dim=0)
