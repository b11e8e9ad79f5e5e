"""The released SQuAD model once more, in numpy and float64, for one example.

Written from `goldens/README.md`, without a look at the library. An example
has no padding, so what the released code does there does not matter.
"""

import numpy as np

from tests import reference

SHORT = ("fw", "bw")


def logits(state, example):
    """Start and end logits `(P,)` of an example.

    Args:
        state: dict of arrays under the released parameter names.
        example: dict of `context` and `question`, each a dict of `words`
            `(T,)`, `letters` `(T, 16)` and `graphs` `(2 L, K, T, T)`.
    """
    state = {name: np.asarray(x, "float64") for name, x in state.items()}
    context, question = (
        encode(state, example[text]) for text in ("context", "question")
    )
    o = merge(state, "linear_1.0", attend(state, "qc_att", context, question))
    t = gru(state, "rnn_2", o)
    o = o + merge(state, "linear_2.0", attend(state, "self_att", t, t))
    o = gru(state, "rnn_3", o)
    width = state["summarizer.net.1.weight"].shape[1]
    s = summary(state, question[:, -width:])
    start = point(state, s, o)
    answer = reference.softmax(start) @ o
    net = "pointer_net.grucell"
    s = cell(
        state,
        [f"{net}.{p}_{q}" for p in ("weight", "bias") for q in ("ih", "hh")],
        answer,
        s,
    )
    return start, point(state, s, o)


def encode(state, text):
    words = state["word_emb.weight"][text["words"]]
    letters = state["char_emb.weight"][text["letters"]]  # (T, 16, c)
    kernel = state["char_cnn.weight"]
    windows = np.stack([letters[:, p : p + 5] for p in range(12)], 1)
    char = np.einsum("tpjc,ocj->tpo", windows, kernel).max(1)
    char = char + state["char_cnn.bias"]
    inputs = [words, char]
    gated = "gate_layer.linear.weight" in state
    width = state["rnn.rnns.0.weight_ih_l0"].shape[1]
    on_states = gated and width == words.shape[1] + char.shape[1]
    if gated and not on_states:
        inputs.append(gate(state, words, text["graphs"]))
    states = gru(state, "rnn", np.concatenate(inputs, -1))
    if on_states:
        extra = gate(state, states, text["graphs"])
        states = np.concatenate([states, extra], -1)
    return states


def gate(state, h, graphs):
    parts = [h]
    if "scales" not in state:
        parts.append(np.tile(h.mean(0), (len(h), 1)))
    else:
        for n in range(state["scales"].shape[1]):
            for index, short in enumerate(SHORT):
                half = np.split(graphs.astype("float64"), 2)[index]
                mixed = mix(state, f"mixt_logits_{short}", n, h, half)
                parts.append(state["scales"][index, n] * mixed)
    x = np.concatenate(parts, -1)
    value = linear(state, "gate_layer.linear", x)
    return value * reference.sigmoid(linear(state, "gate_layer.gate", x))


def mix(state, name, n, h, graphs):
    if name in state:
        scores = np.tile(state[name][n], (len(h), 1))
    else:
        scores = linear(state, f"{name}.{n}.1", h)
    products = scores.shape[1] == (2 * len(graphs) - 1) * graphs.shape[1]
    terms = reference.terms(graphs[None], products)[0]  # (C, T, T)
    return np.einsum("ic,cij,jd->id", reference.softmax(scores), terms, h)


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def merge(state, name, x):
    return np.maximum(linear(state, name, x), 0)


def attend(state, name, x, m):
    scores = x @ state[f"{name}.input_linear.weight"].T
    scores = scores + (m @ state[f"{name}.memory_linear.weight"].T).T
    scores = scores + (x * state[f"{name}.dot_scale"]) @ m.T
    one = reference.softmax(scores) @ m
    two = reference.softmax(scores.max(1)) @ x
    return np.concatenate([x, one, x * one, two * one], -1)


def gru(state, name, x):
    outputs = []
    for index, suffix in enumerate(("", "_reverse")):
        h = state[f"{name}.init_hidden.0"][index, 0]
        names = [
            f"{name}.rnns.0.{part}_l0{suffix}"
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        steps = []
        for row in x[::-1] if index else x:
            h = cell(state, names, row, h)
            steps.append(h)
        outputs.append(np.array(steps[::-1] if index else steps))
    return np.concatenate(outputs, -1)


def cell(state, names, x, h):
    """PyTorch's GRU cell: gates r, z, n in rows."""
    w_ih, w_hh, b_ih, b_hh = (state[name] for name in names)
    r_x, z_x, n_x = np.split(w_ih @ x + b_ih, 3)
    r_h, z_h, n_h = np.split(w_hh @ h + b_hh, 3)
    z = reference.sigmoid(z_x + z_h)
    n = np.tanh(n_x + reference.sigmoid(r_x + r_h) * n_h)
    return z * h + (1 - z) * n


def summary(state, q):
    hidden = np.tanh(linear(state, "summarizer.net.1", q))
    scores = linear(state, "summarizer.net.3", hidden)[:, 0]
    return reference.softmax(scores) @ q


def point(state, s, o):
    joined = np.concatenate([np.tile(s, (len(o), 1)), o], -1)
    hidden = np.tanh(linear(state, "pointer_net.pointer.net.0", joined))
    return linear(state, "pointer_net.pointer.net.2", hidden)[:, 0]
