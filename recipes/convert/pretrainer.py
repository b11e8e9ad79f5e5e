"""Turns a state_dict of the authors' released PyTorch code into a preset.

    python -m recipes.convert.pretrainer STATE.npz OUT

STATE.npz holds the state_dict of the pretraining model, saved as numpy
arrays under its own parameter names, for example

    numpy.savez("STATE.npz", **{k: v.numpy() for k, v in state.items()})

OUT becomes a preset for `ContextPretrainer.from_preset` and
`GraphPredictor.from_preset` that computes the same graphs, features and
losses. It takes seconds. The sizes are read off the arrays; what no array
tells, the context length, is an option. `--vocabulary FILE` (one token a
line, in the order of the ids) goes into the preset.
"""

import dataclasses
import pathlib
import re
import zipfile
from typing import Annotated

import numpy as np
import tyro

import glomo_keras as gk

DIRECTIONS = {"forward": "fw", "backward": "bw"}
IGNORED = re.compile(r"dec_net_[fb]w\.out\.weight|.*\.num_batches_tracked")


@dataclasses.dataclass
class Options:
    """Turns a state_dict of the released PyTorch code into a preset."""

    state: Annotated[pathlib.Path, tyro.conf.Positional]
    """The state_dict as an npz file."""
    out: Annotated[pathlib.Path, tyro.conf.Positional]
    """Folder of the preset."""
    vocabulary: pathlib.Path | None = None
    """Text file with one token a line."""
    context_length: int = 3
    """Tokens that the decoder predicts (the released default)."""


def read_arrays(path):
    """Reads the arrays of an npz file, a dict by name.

    Raises:
        SystemExit: If there is no such file.
        ValueError: If it is not an npz file.
    """
    if not path.is_file():
        raise SystemExit(f"There is no file {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "STATE is a state_dict as an npz file: numpy.savez(STATE, **{k: "
            "v.numpy() for k, v in state.items()}). "
            f"Received: {path}"
        )
    with np.load(path) as arrays:
        return dict(arrays)


class OfficialState:
    """Holds the arrays of a state_dict, and the names not yet taken."""

    def __init__(
        self,
        arrays,
        source,
        kind="pretraining model (with the learned threshold, sparse_mode 4)",
    ):
        self.arrays = arrays
        self.source = source
        self.kind = kind
        self.left = {n for n in self.arrays if not IGNORED.fullmatch(n)}

    def take(self, name, shape=None):
        if name not in self.arrays:
            raise ValueError(
                f"{self.source} lacks the parameter {name!r}: it is not a "
                f"state_dict of the released {self.kind}. "
                f"Received: {sorted(self.arrays)[:8]} ..."
            )
        array = self.arrays[name]
        if shape is not None and array.shape != shape:
            raise ValueError(
                f"{self.source}: {name!r} must have shape {shape}. "
                f"Received: shape {array.shape}"
            )
        self.left.discard(name)
        return np.asarray(array, "float32")

    def count(self, pattern):
        """Counts the numbers i for which `pattern` of i is a name."""
        found = (re.fullmatch(pattern, name) for name in self.arrays)
        return len({match.group(1) for match in found if match})


def read_config(state, context_length):
    """Returns the arguments of a predictor and of its pretrainer.

    Args:
        state: `OfficialState`.
        context_length: Integer D.

    Returns:
        Tuple of two dicts, for `GraphPredictor` and `ContextPretrainer`.
    """
    vocabulary_size, width = state.take("enc_emb.weight").shape
    net = "st_predictor_fw"
    convolution = state.take(f"{net}.key_cnn.0.0.weight")
    key_dim = state.take(f"{net}.sparse_trans.0.weight").shape[1]
    keys = state.take(f"{net}.key_dot_trans.0.weight").shape[0]
    predictor = {
        "vocabulary_size": vocabulary_size,
        "embedding_dim": width,
        "num_heads": keys // key_dim,
        "key_dim": key_dim,
        "kernel_size": convolution.shape[2],
        "num_conv_layers": state.count(rf"{net}\.key_cnn\.(\d+)\.0\.weight"),
        "num_graph_layers": state.count(rf"{net}\.key_dot_trans\.(\d+)\.bias"),
    }
    pretrainer = {
        "num_decoder_layers": state.count(
            r"dec_net_fw\.rnn_fw\.bias_ih_l(\d+)"
        ),
        "context_length": context_length,
        "num_positions": 20,
        "scale_embedding_gradient": True,
    }
    return predictor, pretrainer


def convert(state, context_length=3):
    """Returns a `ContextPretrainer` with the weights of the state."""
    sizes, options = read_config(state, context_length)
    predictor = gk.GraphPredictor(**sizes)
    pretrainer = gk.ContextPretrainer(predictor, **options)
    predictor.token_embedding.embeddings.assign(state.take("enc_emb.weight"))
    for direction, short in DIRECTIONS.items():
        net = f"st_predictor_{short}"
        convolutions = predictor.convolutions[direction]
        for kind in ("key", "query"):
            set_convolutions(state, f"{net}.{kind}_cnn", convolutions, kind)
        set_projection(state, net, predictor.projections[direction])
        composition = pretrainer.feature_predictor.compositions[direction][0]
        set_gru(state, f"{net}.gru_cell.{{}}", composition.cell)
        for index, cell in enumerate(pretrainer.decoders[direction].cells):
            set_gru(state, f"dec_net_{short}.rnn_fw.{{}}_l{index}", cell)
    if state.left:
        raise ValueError(
            f"{state.source} has parameters that this model has no place "
            f"for. Received: {sorted(state.left)}"
        )
    return pretrainer


def set_convolutions(state, prefix, layer, kind):
    """torch (out, in, k) -> Keras (k, in, out); backward in reading order."""
    width, window = (layer.filters,), (layer.kernel_size,)
    convs = getattr(layer, f"{kind}_convs")
    norms = getattr(layer, f"{kind}_norms")
    for index, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        name = f"{prefix}.{index}"
        kernel = state.take(f"{name}.0.weight", width + width + window)
        kernel = kernel.transpose(2, 1, 0)
        forward = layer.direction == "forward"
        conv.kernel.assign(kernel if forward else kernel[::-1])
        conv.bias.assign(state.take(f"{name}.0.bias", width))
        norm.gamma.assign(state.take(f"{name}.1.weight", width))
        norm.beta.assign(state.take(f"{name}.1.bias", width))
        mean = state.take(f"{name}.1.running_mean", width)
        norm.moving_mean.assign(mean)
        variance = state.take(f"{name}.1.running_var", width)
        norm.moving_variance.assign(variance)


def set_projection(state, net, layer):
    """Projections and thresholds of all graph layers, joined."""

    def take_all(name, part, shape):
        return [
            state.take(f"{net}.{name}.{index}.{part}", shape)
            for index in range(layer.num_graph_layers)
        ]

    width = layer.num_heads * layer.key_dim
    for kind in ("key", "query"):
        kernel = getattr(layer, f"{kind}_kernel")
        bias = getattr(layer, f"{kind}_bias")
        shape = (width, kernel.shape[0])
        kernels = take_all(f"{kind}_dot_trans", "weight", shape)
        biases = take_all(f"{kind}_dot_trans", "bias", (width,))
        kernel.assign(np.concatenate(kernels).T)
        bias.assign(np.stack(biases).reshape(bias.shape))
    kernels = take_all("sparse_trans", "weight", (1, layer.key_dim))
    layer.threshold_kernel.assign(np.concatenate(kernels))
    biases = take_all("sparse_trans", "bias", (1,))
    layer.threshold_bias.assign(np.concatenate(biases))


def set_gru(state, name, cell):
    """torch gates r, z, n in rows -> Keras gates z, r, h in columns."""

    def gates(part, *shape):
        array = state.take(name.format(part), (3 * cell.units, *shape))
        reset, update, new = np.split(array, 3)
        return np.concatenate([update, reset, new])

    cell.kernel.assign(gates("weight_ih", cell.kernel.shape[0]).T)
    cell.recurrent_kernel.assign(gates("weight_hh", cell.units).T)
    cell.bias.assign(np.stack([gates("bias_ih"), gates("bias_hh")]))


def main(options):
    state = OfficialState(read_arrays(options.state), options.state)
    pretrainer = convert(state, options.context_length)
    if options.vocabulary is not None:
        text = options.vocabulary.read_text("utf-8").removesuffix("\n")
        pretrainer.graph_predictor.vocabulary = text.split("\n")
    pretrainer.save_to_preset(options.out)
    parameters = pretrainer.count_params()
    print(f"{options.state} -> {options.out}: {parameters:,} parameters")


if __name__ == "__main__":
    main(tyro.cli(Options))
