"""Numbers that the authors' released code produced."""

import pathlib

import keras
import numpy as np
import pytest

from glomo_keras.layers import GraphTransfer
from recipes.convert import pretrainer as convert_official
from tests.backends import BACKEND
from tests.backends import to_numpy
from tests.backends import weight_gradients

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens"
# PyTorch rounds its convolutions otherwise.
TOLERANCE = 2e-5 if BACKEND == "torch" else 1e-5
GRADIENT = 1e-4  # relative to the largest entry of an array
DIRECTIONS = ("forward", "backward")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "pretrain_k4h8.npz") as arrays:
        return dict(arrays)


def converted(golden, prefix="param/", like="param/"):
    """A pretrainer of a set of arrays; zeros where the set has none."""
    names = [n.removeprefix(like) for n in golden if n.startswith(like)]
    arrays = {
        name: golden.get(prefix + name, 0 * golden[like + name])
        for name in names
    }
    state = convert_official.OfficialState(arrays, "golden")
    return convert_official.convert(state)


def positions(golden):
    return {"forward": golden["in/idx_fw"], "backward": golden["in/idx_bw"]}


def test_graphs_and_losses_are_those_of_the_released_code(golden):
    pretrainer = converted(golden)
    mask = golden["in/mask"] > 0
    inputs = {"token_ids": golden["in/tokens"], "padding_mask": mask}
    graphs = to_numpy(pretrainer.graph_predictor(inputs))
    found = np.concatenate([graphs[f"{d}_graphs"] for d in DIRECTIONS], 1)
    rows = mask[:, None, None, :, None]
    expected = golden["eval/graphs_masked"] * rows
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    losses = pretrainer.context_loss(golden["in/tokens"], positions(golden))
    for name, key in (("loss", ""), ("forward_loss", "fw/")):
        expected = golden[f"eval/{key}loss"]
        np.testing.assert_allclose(
            to_numpy(losses[name]), expected, atol=TOLERANCE
        )


@pytest.mark.parametrize("frequency", [False, True])
def test_gradients_are_those_of_the_released_code(golden, frequency):
    pretrainer = converted(golden)
    for layer in pretrainer.graph_predictor.convolutions.values():
        layer.trainable = False  # the goldens are of inference mode
    gradients = weight_gradients(
        pretrainer,
        lambda: pretrainer.context_loss(
            golden["in/tokens"], positions(golden), training=frequency
        )["loss"],
    )
    expected = converted(golden, "eval_grad/")
    if not frequency:
        expected.graph_predictor.token_embedding.embeddings.assign(
            golden["eval_grad_nofreq/enc_emb.weight"]
        )
    compared = 0
    for variable in expected.trainable_variables:
        if "convolutions" in variable.path:
            continue
        value = to_numpy(variable)
        difference = np.abs(gradients[variable.path] - value).max()
        assert difference <= GRADIENT * np.abs(value).max(), variable.path
        compared += 1
    assert compared == 1 + 2 * (6 + 3 + 6)


@pytest.mark.skipif(BACKEND == "jax", reason="a training call in the open")
def test_training_loss_is_near_that_of_the_released_code(golden):
    """The released batch statistics count two positions past the end too."""
    pretrainer = converted(golden)
    loss = pretrainer.context_loss(
        golden["in/tokens"], positions(golden), training=True
    )["loss"]
    wanted, inference = golden["train/loss_step1"], golden["eval/loss"]
    assert abs(to_numpy(loss) - wanted) < abs(inference - wanted)


@pytest.fixture(scope="module")
def transfer():
    with np.load(GOLDENS / "transfer_emb_cond.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("text", ["p", "q"])
def test_transfer_is_that_of_the_released_code(transfer, text):
    graphs = transfer[f"in/graphs_{text}"]
    graphs = {"forward_graphs": graphs[:, :3], "backward_graphs": graphs[:, 3:]}
    words = {"p": "context_idxs", "q": "ques_idxs"}[text]
    features = transfer["param/word_emb.weight"][transfer[f"in/{words}"]]
    layer = GraphTransfer(num_mixtures=2, conditioned=True)
    layer.build(features.shape, {k: v.shape for k, v in graphs.items()})
    for direction, short in zip(DIRECTIONS, ("fw", "bw"), strict=True):
        names = [f"param/mixt_logits_{short}.{n}.1" for n in range(2)]
        mixture = layer.mixtures[direction]
        mixture.kernel.assign(
            np.stack([transfer[f"{name}.weight"].T for name in names])
        )
        mixture.logits.assign(
            np.stack([transfer[f"{name}.bias"] for name in names])
        )
        weights = to_numpy(mixture.mixture_weights(features))
        for n in range(2):
            logits = transfer[f"mid/mixt_logits_{short}{n}/{text}"]
            exp = np.exp(logits - logits.max(-1, keepdims=True))
            expected = exp / exp.sum(-1, keepdims=True)
            np.testing.assert_allclose(
                weights[:, :, n], expected, atol=TOLERANCE
            )
    layer.scales.assign(transfer["param/scales"])
    for dense, name in (
        (layer.fusion.value_dense, "linear"),
        (layer.fusion.gate_dense, "gate"),
    ):
        dense.kernel.assign(transfer[f"param/gate_layer.{name}.weight"].T)
        dense.bias.assign(transfer[f"param/gate_layer.{name}.bias"])
    gate_in = transfer[f"mid/gate_in/{text}"]
    np.testing.assert_array_equal(gate_in[..., :12], features)
    scales = transfer["param/scales"]
    for index, direction in enumerate(DIRECTIONS):
        sums = to_numpy(
            layer.mixtures[direction].weighted_sum(
                graphs[f"{direction}_graphs"], features
            )
        )
        for n in range(2):
            part = 12 * (1 + 2 * n + index)
            np.testing.assert_allclose(
                scales[index, n] * sums[:, n],
                gate_in[..., part : part + 12],
                atol=TOLERANCE,
            )
    fused = to_numpy(layer(features, graphs))
    np.testing.assert_array_equal(fused[..., :12], features)
    np.testing.assert_allclose(
        fused[..., 12:], transfer[f"mid/gate_out/{text}"], atol=TOLERANCE
    )


def test_adadelta_makes_the_steps_of_the_released_training():
    """`recipes.tasks.squad --optimizer adadelta --learning-rate 0.5`."""
    with np.load(GOLDENS / "adadelta_trace.npz") as arrays:
        trace = dict(arrays)
    variable = keras.Variable(trace["weights"][0])
    optimizer = keras.optimizers.Adadelta(0.5, rho=0.95, epsilon=1e-6)
    optimizer.build([variable])
    for gradient, expected in zip(
        trace["grads"], trace["weights"][1:], strict=True
    ):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        np.testing.assert_allclose(to_numpy(variable), expected, atol=TOLERANCE)
