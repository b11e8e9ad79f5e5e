"""A state of other sizes than the goldens', against the formulas in numpy.

K * C differs from d, and so does every other size: what the goldens (where
they are equal) cannot tell apart.
"""

import numpy as np
import pytest

from recipes.convert import pretrainer as convert_official
from tests import reference
from tests.backends import to_numpy

TOLERANCE = 1e-5
VOCABULARY, WIDTH, HEADS, KEY, LAYERS = 11, 6, 3, 5, 2
CONVOLUTIONS, KERNEL, CONTEXT, UNITS = 3, 4, 2, 9
POSITIONS = {"forward": np.array([0, 3, 6]), "backward": np.array([5, 2, 2])}


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(7)
    arrays = {}

    def add(name, *shape, scale=0.5):
        arrays[name] = scale * rng.normal(size=shape).astype("float32")

    add("enc_emb.weight", VOCABULARY, WIDTH, scale=1)
    for short in ("fw", "bw"):
        net = f"st_predictor_{short}"
        for cnn in ("key_cnn", "query_cnn"):
            for i in range(CONVOLUTIONS):
                name = f"{net}.{cnn}.{i}"
                add(f"{name}.0.weight", WIDTH, WIDTH, KERNEL)
                add(f"{name}.0.bias", WIDTH)
                for part in ("weight", "bias", "running_mean"):
                    add(f"{name}.1.{part}", WIDTH)
                arrays[f"{name}.1.running_var"] = rng.uniform(
                    0.5, 2, WIDTH
                ).astype("float32")
        for layer in range(LAYERS):
            for kind in ("key", "query"):
                name = f"{net}.{kind}_dot_trans.{layer}"
                add(f"{name}.weight", HEADS * KEY, WIDTH)
                add(f"{name}.bias", HEADS * KEY)
            add(f"{net}.sparse_trans.{layer}.weight", 1, KEY)
            add(f"{net}.sparse_trans.{layer}.bias", 1)
        for name, width, suffix in (
            (f"{net}.gru_cell", 2 * WIDTH, ""),
            (f"dec_net_{short}.rnn_fw", WIDTH, "_l0"),
        ):
            add(f"{name}.weight_ih{suffix}", 3 * WIDTH, width)
            add(f"{name}.weight_hh{suffix}", 3 * WIDTH, WIDTH)
            for kind in ("ih", "hh"):
                add(f"{name}.bias_{kind}{suffix}", 3 * WIDTH)
    return arrays


@pytest.fixture(scope="module")
def pretrainer(state):
    official = convert_official.OfficialState(state, "state.npz")
    return convert_official.convert(official, CONTEXT)


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(8).integers(0, VOCABULARY, (2, UNITS))


def torch_gru(state, name, suffix, x, h):
    """torch's GRU cell: gates r, z, n in rows."""
    gates_x, gates_h = (
        np.split(
            v @ state[f"{name}.weight_{kind}{suffix}"].T
            + state[f"{name}.bias_{kind}{suffix}"],
            3,
            axis=-1,
        )
        for v, kind in ((x, "ih"), (h, "hh"))
    )
    reset = reference.sigmoid(gates_x[0] + gates_h[0])
    update = reference.sigmoid(gates_x[1] + gates_h[1])
    new = np.tanh(gates_x[2] + reset * gates_h[2])
    return update * h + (1 - update) * new


def official(state, tokens, mask, short, positions):
    """Graphs, features and loss of one direction, in its reading order."""
    state = {name: array.astype("float64") for name, array in state.items()}
    net = f"st_predictor_{short}"
    embeddings = state["enc_emb.weight"]
    embedded = embeddings[tokens]
    ends = {}
    for cnn in ("key_cnn", "query_cnn"):
        x = embedded
        for i in range(CONVOLUTIONS):
            name = f"{net}.{cnn}.{i}"
            x = reference.causal_conv(
                x * mask[..., None],
                state[f"{name}.0.weight"].transpose(2, 1, 0),
                state[f"{name}.0.bias"],
            )
            x = x - state[f"{name}.1.running_mean"]
            x = x / np.sqrt(state[f"{name}.1.running_var"] + 1e-5)
            x = x * state[f"{name}.1.weight"] + state[f"{name}.1.bias"]
            x = np.maximum(x, 0)
        ends[cnn] = x
    features, graphs, outputs = embedded, [], []
    for layer in range(LAYERS):
        heads = {}
        for kind in ("key", "query"):
            name = f"{net}.{kind}_dot_trans.{layer}"
            y = ends[f"{kind}_cnn"] @ state[f"{name}.weight"].T
            y = y + state[f"{name}.bias"]
            heads[kind] = np.stack(np.split(y, HEADS, axis=-1), 1)
        name = f"{net}.sparse_trans.{layer}"
        thresholds = (
            heads["query"] @ state[f"{name}.weight"][0] + state[f"{name}.bias"]
        )
        graph = reference.graph(
            {
                "queries": heads["query"],
                "past_keys": heads["key"],
                "thresholds": thresholds,
                "padding_mask": mask,
            }
        )
        message = reference.weighted_sum(graph, features)
        features = torch_gru(
            state,
            f"{net}.gru_cell",
            "",
            np.concatenate([message * features, message], -1),
            features,
        )
        graphs.append(graph)
        outputs.append(features)
    losses = []
    for position in positions:
        h, x = features[:, position], np.zeros_like(features[:, 0])
        for step in range(CONTEXT):
            if step:
                x = embedded[:, position + step]
            h = torch_gru(state, f"dec_net_{short}.rnn_fw", "_l0", x, h)
            logits = h @ embeddings.T
            targets = tokens[:, position + step + 1]
            losses.append(reference.cross_entropy(logits, targets))
    return np.stack(graphs, 1), np.stack(outputs, 1), np.mean(losses)


@pytest.mark.parametrize(
    "masked", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_numbers_are_those_of_the_formulas(state, pretrainer, tokens, masked):
    mask = np.ones((2, UNITS), bool)
    mask[1, UNITS - 3 * masked :] = False
    inputs = {"token_ids": tokens, "padding_mask": mask}
    graphs = to_numpy(pretrainer.graph_predictor(inputs))
    features = to_numpy(pretrainer.features(inputs))
    positions = {d: [0] if masked else p for d, p in POSITIONS.items()}
    losses = pretrainer.context_loss(tokens, POSITIONS)
    for direction, short, step in (
        ("forward", "fw", 1),
        ("backward", "bw", -1),
    ):
        expected = official(
            state,
            tokens[:, ::step],
            mask[:, ::step],
            short,
            positions[direction],
        )
        np.testing.assert_allclose(
            graphs[f"{direction}_graphs"],
            expected[0][..., ::step, ::step],
            atol=TOLERANCE,
        )
        difference = (
            features[f"{direction}_features"] - expected[1][..., ::step, :]
        )
        assert np.abs(difference * mask[:, None, :, None]).max() < TOLERANCE
        if not masked:
            loss = float(losses[f"{direction}_loss"])
            np.testing.assert_allclose(loss, expected[2], atol=TOLERANCE)


def test_sizes_are_read_off_the_arrays(pretrainer):
    predictor = pretrainer.graph_predictor
    sizes = (
        predictor.vocabulary_size,
        predictor.embedding_dim,
        predictor.num_heads,
        predictor.key_dim,
        predictor.kernel_size,
        predictor.num_conv_layers,
        predictor.num_graph_layers,
        pretrainer.num_decoder_layers,
    )
    assert sizes == (11, 6, 3, 5, 4, 3, 2, 1)
