"""Turns a state_dict of the released SQuAD model into a `SpanReader`.

    python -m recipes.convert.squad STATE.npz OUT.keras

STATE.npz holds the state_dict of the released model of SQuAD (its classes
`Model` and `ModelTRNN`) as numpy arrays under its own parameter names:

    numpy.savez("STATE.npz", **{k: v.numpy() for k, v in state.items()})

Which variant it is shows in the arrays: no graphs, graphs on the embeddings
or on the states of the first RNN, the uniform graph; mixture weights that are
free or conditioned, with products of graph layers (gate_fuse 3) or without
(gate_fuse 2). Variants that the package does not have are refused by name:
gate_fuse 0 and 1, ELMo, and the output without a pointer network.

With `--predictor PRESET` the reader computes its graphs itself; without, they
are inputs of the model (see `GivenGraphs`). It takes seconds.
"""

import dataclasses
import pathlib
from typing import Annotated

import keras
import numpy as np
import tyro

import glomo_keras as gk
from recipes.convert.pretrainer import DIRECTIONS
from recipes.convert.pretrainer import OfficialState
from recipes.convert.pretrainer import read_arrays
from recipes.convert.pretrainer import set_gru

UNKNOWN_VARIANTS = {
    "elmo_scale": "ELMo in place of word vectors",
    "gru_cell.weight_ih": "fusion by a GRU cell (gate_fuse 1)",
    "linear_start.weight": "an output without a pointer network",
}


@dataclasses.dataclass
class Options:
    """Turns a state_dict of the released SQuAD model into a SpanReader."""

    state: Annotated[pathlib.Path, tyro.conf.Positional]
    """The state_dict as an npz file."""
    out: Annotated[pathlib.Path, tyro.conf.Positional]
    """The .keras file to be written."""
    predictor: str | None = None
    """Preset of the graph predictor; None makes the graphs inputs."""
    num_graph_layers: int = 3
    """Layers of the graphs that the model was trained with."""
    num_heads: int | None = None
    """Heads of these graphs; None reads them off the mixture's size."""


def convert(state, predictor=None, num_graph_layers=3, num_heads=None):
    """Returns a `SpanReader` with the weights of the state.

    Args:
        state: `OfficialState`.
        predictor: `GraphPredictor` whose graphs the model was trained with,
            or None: the graphs are inputs.
        num_graph_layers: int, L of the graphs.
        num_heads: int or None, K of the graphs; read off the number of
            mixture terms if None.

    Returns:
        `glomo_keras.models.SpanReader`, without dropout.

    Raises:
        ValueError: If a parameter is missing, left over or of another shape,
            or the variant has no counterpart.
    """
    check_variant(state)
    words = state.take("word_emb.weight")
    letters = state.take("char_emb.weight")
    convolution = state.take("char_cnn.weight")
    hidden_dim = state.take("linear_1.0.weight").shape[0]
    graphs, transfer = make_graphs(
        state, predictor, num_graph_layers, num_heads
    )
    reader = gk.models.SpanReader(
        {"word_ids": keras.layers.Embedding(*words.shape, trainable=False)},
        graphs,
        transfer,
        "states" if on_states(state) else "embeddings",
        num_letters=letters.shape[0],
        letter_dim=letters.shape[1],
        letter_filters=convolution.shape[0],
        hidden_dim=hidden_dim,
        dropout=0.0,
    )
    reader.features["word_ids"].embeddings.assign(words)
    set_letters(state, reader.character_cnn)
    if reader.transfer is not None:
        set_transfer(state, reader.transfer)
    set_body(state, reader)
    gate = state_width(state, "gate_layer.linear.bias")
    order = encoder_order(words.shape[1], convolution.shape[0], gate)
    set_rnn(state, "rnn", reader.encoder_rnn, order)
    if state.left:
        raise ValueError(
            f"{state.source} has parameters that this model has no place "
            f"for. Received: {sorted(state.left)}"
        )
    return reader


def check_variant(state):
    variants = dict(UNKNOWN_VARIANTS)
    if "gate_layer.linear.weight" not in state.arrays:
        variants["scales"] = "fusion without a gate (gate_fuse 0)"
    for name, variant in variants.items():
        if name in state.arrays:
            raise ValueError(
                f"{state.source} is of a variant of the released model that "
                f"SpanReader has no counterpart of: {variant}. "
                f"Received: a parameter {name!r}"
            )


def state_width(state, name):
    return len(state.arrays[name]) if name in state.arrays else 0


def on_states(state):
    """Returns whether graphs act on the first RNN's states (`ModelTRNN`)."""
    first = state.arrays["rnn.rnns.0.weight_ih_l0"].shape[1]
    words = state.arrays["word_emb.weight"].shape[1]
    return first == words + state.arrays["char_cnn.bias"].shape[0]


def make_graphs(state, predictor, num_graph_layers, num_heads):
    """Returns source and transfer of a state, or None twice without graphs."""
    if "gate_layer.linear.weight" not in state.arrays:
        return None, None
    units = state_width(state, "gate_layer.linear.bias")
    if "scales" not in state.arrays:
        transfer = gk.layers.GraphTransfer(units=units)
        return gk.layers.UniformGraph("all"), transfer
    logits = "mixt_logits_fw"
    conditioned = logits not in state.arrays
    name = f"{logits}.0.1.bias" if conditioned else logits
    num_heads, include_products = mixture_size(
        state.take(name).shape[-1], num_graph_layers, num_heads
    )
    transfer = gk.layers.GraphTransfer(
        num_mixtures=state.take("scales").shape[1],
        conditioned=conditioned,
        include_products=include_products,
        units=units,
    )
    if predictor is not None:
        return gk.models.PredictedGraphs(predictor), transfer
    return gk.models.GivenGraphs(num_graph_layers, num_heads), transfer


def mixture_size(terms, num_graph_layers, num_heads):
    """Returns `(num_heads, include_products)` of a mixture of `terms`."""
    layers = {True: 2 * num_graph_layers - 1, False: num_graph_layers}
    found = [
        (terms // count, products)
        for products, count in layers.items()
        if terms % count == 0 and num_heads in (None, terms // count)
    ]
    if len(found) != 1:
        raise ValueError(
            f"A mixture of {terms} terms fits {len(found)} numbers of heads; "
            "say the sizes of the graphs. Received: "
            f"num_graph_layers={num_graph_layers}, num_heads={num_heads}"
        )
    return found[0]


def set_letters(state, layer):
    layer.embedding.embeddings.assign(state.take("char_emb.weight"))
    kernel = state.take("char_cnn.weight").transpose(2, 1, 0)
    layer.convolution.kernel.assign(kernel)
    layer.convolution.bias.assign(state.take("char_cnn.bias"))


def set_transfer(state, transfer):
    set_dense(state, "gate_layer.linear", transfer.fusion.value_dense)
    set_dense(state, "gate_layer.gate", transfer.fusion.gate_dense)
    if "scales" not in state.arrays:
        return  # the uniform graph: one term, and its scale is 1
    transfer.scales.assign(state.take("scales", transfer.scales.shape))
    for direction, short in DIRECTIONS.items():
        set_mixture(state, f"mixt_logits_{short}", transfer.mixtures[direction])


def set_mixture(state, name, mixture):
    if not mixture.conditioned:
        mixture.logits.assign(state.take(name, tuple(mixture.logits.shape)))
        return
    shape = mixture.kernel.shape[1:]
    count = range(mixture.num_mixtures)
    kernels = [state.take(f"{name}.{n}.1.weight", shape[::-1]) for n in count]
    biases = [state.take(f"{name}.{n}.1.bias", shape[1:]) for n in count]
    mixture.kernel.assign(np.stack([kernel.T for kernel in kernels]))
    mixture.logits.assign(np.stack(biases))


def set_body(state, reader):
    """Sets everything behind the first RNN."""
    set_attention(state, "qc_att", reader.question_attention)
    set_dense(state, "linear_1.0", reader.question_dense)
    set_rnn(state, "rnn_2", reader.self_rnn)
    set_attention(state, "self_att", reader.self_attention)
    set_dense(state, "linear_2.0", reader.self_dense)
    set_rnn(state, "rnn_3", reader.output_rnn)
    pooling = reader.question_pooling
    set_dense(state, "summarizer.net.1", pooling.hidden_dense)
    set_dense(state, "summarizer.net.3", pooling.score_dense)
    pointer, net = reader.pointer, "pointer_net.pointer.net"
    shape = tuple(pointer.kernel.shape)
    pointer.kernel.assign(state.take(f"{net}.0.weight", shape[::-1]).T)
    set_dense(state, f"{net}.2", pointer.score_dense)
    set_gru(state, "pointer_net.grucell.{}", pointer.cell)


def set_dense(state, name, layer):
    """torch (out, in) -> Keras (in, out)."""
    shape = tuple(layer.kernel.shape)
    layer.kernel.assign(state.take(f"{name}.weight", shape[::-1]).T)
    if layer.use_bias:
        layer.bias.assign(state.take(f"{name}.bias", shape[1:]))


def set_attention(state, name, layer):
    width = (layer.scale.shape[0],)
    layer.scale.assign(state.take(f"{name}.dot_scale", width))
    row = (1, *width)
    kernel = state.take(f"{name}.input_linear.weight", row)
    layer.kernel.assign(kernel.T)
    kernel = state.take(f"{name}.memory_linear.weight", row)
    layer.memory_kernel.assign(kernel.T)


def encoder_order(words, letters, gated):
    """Rows of the released kernel [words, letters, gated] in our order."""
    parts = np.split(
        np.arange(words + letters + gated), [words, words + letters]
    )
    return np.concatenate([parts[0], parts[2], parts[1]])


def set_rnn(state, name, layer, order=None):
    """Both directions; torch gates r, z, n in rows -> z, r, n in columns."""
    width, gates = layer.kernel.shape[1:]
    if order is None or len(order) != width:
        order = np.arange(width)
    net = f"{name}.rnns.0"

    def take(part, *shape):
        directions = []
        for suffix in ("", "_reverse"):
            array = state.take(f"{net}.{part}_l0{suffix}", (gates, *shape))
            reset, update, new = np.split(array, 3)
            directions.append(np.concatenate([update, reset, new]))
        return np.stack(directions)

    kernel = take("weight_ih", width)[..., order]
    layer.kernel.assign(kernel.swapaxes(1, 2))
    layer.bias.assign(take("bias_ih"))
    kernel = take("weight_hh", layer.units)
    layer.cell.recurrent_kernel.assign(kernel.swapaxes(1, 2))
    layer.cell.recurrent_bias.assign(take("bias_hh")[:, None])
    states = state.take(f"{name}.init_hidden.0", (2, 1, layer.units))
    layer.initial_states.assign(states[:, 0])


def main(options):
    predictor = options.predictor and gk.GraphPredictor.from_preset(
        options.predictor
    )
    state = OfficialState(
        read_arrays(options.state), options.state, "SQuAD model"
    )
    reader = convert(
        state, predictor, options.num_graph_layers, options.num_heads
    )
    reader.save(options.out)
    print(
        f"{options.state} -> {options.out}: {reader.count_params():,} "
        f"parameters, graphs: {type(reader.graphs).__name__}"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
