import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
DIRECTIONS = ("forward", "backward")


def graphs(directions=DIRECTIONS):
    return {
        f"{direction}_graphs": factors(seed=seed, direction=direction)
        for seed, direction in enumerate(directions)
    }


def test_messages_do_what_layers_do(tmp_path):
    x = features()
    terms = (2 * 3 - 1) * 4
    run_layer_test(
        gk.layers.GraphMessages,
        {},
        {"features": x, "graphs": graphs(("forward",))},
        tmp_path,
        output_shape={"forward_messages": (x.shape[0], terms, *x.shape[1:])},
        num_weights=0,
        float32_outputs=True,
    )


def test_transfer_does_what_layers_do(tmp_path):
    x = features()
    messages = np.random.default_rng(0).normal(
        size=(x.shape[0], 6, *x.shape[1:])
    )
    run_layer_test(
        gk.layers.MessageTransfer,
        {"num_mixtures": 2, "units": 5},
        {
            "features": x,
            "messages": {"forward_messages": messages.astype("float32")},
        },
        tmp_path,
        output_shape=(*x.shape[:2], x.shape[2] + 5),
        num_weights=6,
    )


@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("directions", [DIRECTIONS, ("backward",)])
def test_numbers_are_those_of_graph_transfer(include_products, directions):
    x, given = features(), graphs(directions)
    transfer = gk.layers.GraphTransfer(
        num_mixtures=2, include_products=include_products, units=4
    )
    transfer(x, given)
    rng = np.random.default_rng(7)
    for weight in transfer.weights:
        weight.assign(rng.normal(size=weight.shape))
    messages = gk.layers.GraphMessages(include_products)(x, given)
    mixing = gk.layers.MessageTransfer(num_mixtures=2, units=4)
    mixing(x, messages)
    for direction in directions:
        mixing.logits[direction].assign(transfer.mixtures[direction].logits)
    mixing.scales.assign(transfer.scales)
    mixing.fusion.set_weights(transfer.fusion.get_weights())
    np.testing.assert_allclose(
        to_numpy(mixing(x, messages)),
        to_numpy(transfer(x, given)),
        atol=TOLERANCE,
    )


def test_wrong_arguments_are_named():
    x = features()
    with pytest.raises(ValueError, match="`graphs` must be a dict.*Received"):
        gk.layers.GraphMessages()(x, {"graphs": np.zeros((2, 1, 1, 7, 7))})
    with pytest.raises(ValueError, match="`messages` must be a dict.*Rec"):
        gk.layers.MessageTransfer()(x, {"forward_graphs": x})
    with pytest.raises(ValueError, match="width of the features.*Received"):
        wide = np.zeros((x.shape[0], 2, x.shape[1], x.shape[2] + 1), "float32")
        gk.layers.MessageTransfer()(x, {"forward_messages": wide})


@pytest.mark.parametrize("first", [1, 2])
def test_messages_of_other_directions_than_at_first_are_refused(first):
    x = features()
    messages = {
        f"{direction}_messages": np.ones(
            (x.shape[0], 2, *x.shape[1:]), "float32"
        )
        for direction in ("forward", "backward")
    }
    layer = gk.layers.MessageTransfer()
    layer(x, dict(list(messages.items())[:first]))
    with pytest.raises(ValueError, match="directions that the layer was bu"):
        layer(x, dict(list(messages.items())[: 3 - first]))
