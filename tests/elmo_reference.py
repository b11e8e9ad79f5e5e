"""A tiny ELMo in the format of the published files, and numpy's reading."""

import json

import h5py
import numpy as np

OPTIONS = {
    "lstm": {
        "cell_clip": 0.4,
        "proj_clip": 0.3,
        "projection_dim": 6,
        "dim": 8,
        "n_layers": 2,
        "use_skip_connections": True,
    },
    "char_cnn": {
        "embedding": {"dim": 4},
        "filters": [[1, 3], [2, 5], [4, 2]],
        "n_highway": 2,
        "n_characters": 262,
        "max_characters_per_token": 12,
        "activation": "relu",
    },
}
CELL = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell/{}"


def options(**changes):
    """The options with some entries changed, `lstm` and `char_cnn` mixed."""
    made = json.loads(json.dumps(OPTIONS))
    for name, value in changes.items():
        part = "lstm" if name in made["lstm"] else "char_cnn"
        made[part][name] = value
    return made


def shapes(options):
    """The shape of each array of the file."""
    lstm, cnn = options["lstm"], options["char_cnn"]
    width = lstm["projection_dim"]
    total = sum(number for _, number in cnn["filters"])
    made = {"char_embed": (261, cnn["embedding"]["dim"])}
    for index, (size, number) in enumerate(cnn["filters"]):
        made[f"CNN/W_cnn_{index}"] = (1, size, cnn["embedding"]["dim"], number)
        made[f"CNN/b_cnn_{index}"] = (number,)
    for index in range(cnn["n_highway"]):
        for name in ("carry", "transform"):
            made[f"CNN_high_{index}/W_{name}"] = (total, total)
            made[f"CNN_high_{index}/b_{name}"] = (total,)
    if total != width:
        made["CNN_proj/W_proj"] = (total, width)
        made["CNN_proj/b_proj"] = (width,)
    for side in range(2):
        for index in range(lstm["n_layers"]):
            made[CELL.format(side, index, "W_0")] = (
                2 * width,
                4 * lstm["dim"],
            )
            made[CELL.format(side, index, "B")] = (4 * lstm["dim"],)
            made[CELL.format(side, index, "W_P_0")] = (lstm["dim"], width)
    return made


def arrays(options, seed=0):
    rng = np.random.default_rng(seed)
    return {
        key: rng.normal(scale=0.5, size=shape).astype("float32")
        for key, shape in shapes(options).items()
    }


def write(folder, options, arrays):
    """The paths of the two files."""
    paths = folder / "options.json", folder / "weights.hdf5"
    paths[0].write_text(json.dumps(options))
    with h5py.File(paths[1], "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return paths


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def characters(word, size):
    """One word's ids; an integer stands for the sign of a sentence's end."""
    inner = [word] if isinstance(word, int) else list(word.encode())
    ids = [258, *inner[: size - 2], 259]
    return np.array([*ids, *[260] * (size - len(ids))]) + 1


def word_vector(ids, options, arrays):
    cnn = options["char_cnn"]
    activation = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
    table = np.concatenate(
        [np.zeros((1, cnn["embedding"]["dim"])), arrays["char_embed"]]
    )
    x = table[ids]
    parts = []
    for index, (size, _) in enumerate(cnn["filters"]):
        kernel = arrays[f"CNN/W_cnn_{index}"][0].astype("float64")
        windows = np.stack(
            [x[start : start + size] for start in range(len(x) - size + 1)]
        )
        found = np.einsum("pse,sen->pn", windows, kernel)
        found = found + arrays[f"CNN/b_cnn_{index}"]
        parts.append(activation[cnn["activation"]](found.max(axis=0)))
    x = np.concatenate(parts)
    for index in range(cnn["n_highway"]):
        prefix = f"CNN_high_{index}/"
        gate, new = (
            x @ arrays[f"{prefix}W_{name}"].astype("float64")
            + arrays[f"{prefix}b_{name}"]
            for name in ("carry", "transform")
        )
        x = sigmoid(gate) * np.maximum(new, 0) + (1 - sigmoid(gate)) * x
    if "CNN_proj/W_proj" in arrays:
        x = x @ arrays["CNN_proj/W_proj"].astype("float64")
        x = x + arrays["CNN_proj/b_proj"]
    return x


def run_lstm(inputs, options, arrays, side, index):
    """Outputs (T, p) of one LSTM."""
    lstm = options["lstm"]

    def clip(x, name):
        limit = np.inf if lstm[name] is None else lstm[name]
        return np.clip(x, -limit, limit)

    w, b, project = (
        arrays[CELL.format(side, index, name)].astype("float64")
        for name in ("W_0", "B", "W_P_0")
    )
    m, c = np.zeros(lstm["projection_dim"]), np.zeros(lstm["dim"])
    outputs = []
    for x in inputs:
        i, j, f, o = np.split(np.concatenate([x, m]) @ w + b, 4)
        c = clip(sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j), "cell_clip")
        m = clip((sigmoid(o) * np.tanh(c)) @ project, "proj_clip")
        outputs.append(m)
    return np.stack(outputs)


def all_layers(words, options, arrays):
    """Layers (n + 1, T + 2, 2 * p) of one sentence, its marks included."""
    lstm = options["lstm"]
    size = options["char_cnn"]["max_characters_per_token"]
    vectors = np.stack(
        [
            word_vector(characters(word, size), options, arrays)
            for word in [256, *words, 257]
        ]
    )
    layers = [[vectors, vectors]]
    for index in range(lstm["n_layers"]):
        pair = []
        for side, step in enumerate((1, -1)):
            inputs = layers[-1][side]
            outputs = run_lstm(inputs[::step], options, arrays, side, index)
            outputs = outputs[::step]
            if lstm["use_skip_connections"] and index > 0:
                outputs = outputs + inputs
            pair.append(outputs)
        layers.append(pair)
    return np.stack([np.concatenate(pair, axis=-1) for pair in layers])


def batch_layers(texts, options, arrays):
    """Layers (B, n + 1, T, 2 * p) of a batch, without marks, 0 in padding."""
    length = max(map(len, texts))
    rows = []
    for words in texts:
        layers = all_layers(words, options, arrays)[:, 1:-1]
        rows.append(np.pad(layers, [(0, 0), (0, length - len(words)), (0, 0)]))
    return np.stack(rows)
