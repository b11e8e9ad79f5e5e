"""All of GLoMo in stock Keras layers: pretraining, transfer and a picture.

    python examples/glomo_in_one_file.py

GLoMo (Yang et al., NeurIPS 2018) learns from unlabelled text which earlier
positions each position should look at, and hands these graphs, not features,
to other tasks. The texts here say `ann red bob blue ann red ...`: in each text
a name has a colour of its own, so the word after a name is known to whoever
finds that name's last colour. Pretraining must predict it; the task, with
frozen graphs, is to tell after a name whether its colour is a warm one.

Letters: B texts, T positions, d width, L layers, K heads, C width of a key,
N decoded positions, D predicted tokens, V vocabulary. `graph[b, k, t, s]` is
the weight with which receiver t looks at source s (the paper's G, transposed).
The package computes the same, only faster: a test compares the numbers.
"""

import keras
import numpy as np
from keras import layers
from keras import ops

# === Pretraining: two networks learn together to predict the next tokens ===


class CausalCNN(layers.Layer):
    """Convolutions that see no later position: `(B, T, d)` to `(B, T, d)`."""

    def __init__(self, d, num_layers):
        super().__init__()
        norm = {"momentum": 0.9, "epsilon": 1e-5}
        self.convs, self.norms = [], []
        for _ in range(num_layers):
            self.convs.append(layers.Conv1D(d, 3, padding="causal"))
            self.norms.append(layers.BatchNormalization(**norm))

    def call(self, x, mask, training=None):
        real = ops.cast(mask, x.dtype)[:, :, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = ops.relu(norm(conv(x * real), training=training, mask=mask))
        return x


class GraphPredictor(layers.Layer):
    """g: from embeddings `(B, T, d)` the graphs of L layers, `(B, K, T, T)`."""

    def __init__(
        self, d, num_heads, key_dim, num_conv_layers, num_graph_layers=3
    ):
        super().__init__()
        self.num_heads = num_heads
        self.key_cnn = CausalCNN(d, num_conv_layers)
        self.query_cnn = CausalCNN(d, num_conv_layers)
        self.keys, self.queries, self.thresholds = (
            [layers.Dense(width) for _ in range(num_graph_layers)]
            for width in (num_heads * key_dim, num_heads * key_dim, 1)
        )

    def call(self, embedded, mask, training=None):
        for_keys = self.key_cnn(embedded, mask, training=training)
        for_queries = self.query_cnn(embedded, mask, training=training)
        graphs = []
        for layer, threshold in enumerate(self.thresholds):
            k = split_heads(self.keys[layer](for_keys), self.num_heads)
            q = split_heads(self.queries[layer](for_queries), self.num_heads)
            graphs.append(squared_relu_graph(q, k, threshold(q), mask))
        return graphs


def split_heads(x, heads):
    return ops.reshape(x, (*ops.shape(x)[:2], heads, x.shape[-1] // heads))


def squared_relu_graph(queries, keys, thresholds, mask):
    """Eq. 1: a_ts = relu(q_t . k_s - b_t), G_ts = a_ts^2 / sum_s' a_ts'^2."""
    scores = ops.einsum("btkc,bskc->bkts", queries, keys)
    scores = scores - ops.transpose(thresholds, (0, 2, 1, 3))
    squares = ops.square(ops.relu(ops.cast(scores, "float32")))
    at = ops.arange(ops.shape(keys)[1])
    edges = (at < at[:, None]) & mask[:, None, :] & mask[:, :, None]
    squares = ops.where(edges[:, None], squares, 0.0)  # (B, K, T, T)
    return ops.divide_no_nan(squares, ops.sum(squares, -1, keepdims=True))


class OneWay(layers.Layer):
    """g, f and the decoder of one direction; they read texts from the left.

    It returns the mean cross entropy of the D tokens after each position.
    """

    def __init__(self, embed, context_length=3, num_positions=None, **sizes):
        super().__init__()
        d = embed.output_dim
        self.embed = embed
        self.g = GraphPredictor(d, **sizes)
        self.cell = layers.GRUCell(d)  # v of Eq. 2, shared by all layers
        self.grus = [layers.GRU(d, return_sequences=True) for _ in range(2)]
        self.context_length = context_length
        self.num_positions = num_positions
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, ids, mask, training=None):
        at = self.positions(ops.shape(ids)[1], training)  # (N,)
        targets, real = self.context(ids, mask, at)  # (B N, D)
        embedded = self.embed(ids)  # F^0, (B, T, d)
        graphs = self.g(embedded, mask, training=training)
        features = ops.take(self.features(embedded, graphs), at, axis=1)
        features = ops.reshape(features, (-1, features.shape[-1]))  # (B N, d)
        states = self.decode(features, self.embed(targets[:, :-1]))
        table = ops.cast(self.embed.embeddings, states.dtype)
        logits = ops.matmul(states, ops.transpose(table))  # (B N, D, V)
        losses = ops.sparse_categorical_crossentropy(
            targets, ops.cast(logits, "float32"), from_logits=True
        )
        return ops.divide_no_nan(ops.sum(real * losses), ops.sum(real))

    def positions(self, length, training):
        """All positions; or, in training, N that have D tokens after them."""
        if not training or self.num_positions is None:
            return ops.arange(length)
        shape, last = (self.num_positions,), length - self.context_length
        return keras.random.randint(shape, 0, last, seed=self.seed_generator)

    def context(self, ids, mask, at):
        """The D tokens after the positions, and 1 where they are real."""
        after = at[:, None] + ops.arange(1, self.context_length + 1)  # (N, D)
        end = [[0, 0], [0, self.context_length]]
        targets = ops.take(ops.pad(ids, end), after, axis=1)  # (B, N, D)
        real = ops.take(ops.pad(mask, end), after, axis=1)
        real = ops.cast(real & ops.take(mask, at, axis=1)[..., None], "float32")
        return [ops.reshape(x, (-1, after.shape[1])) for x in (targets, real)]

    def features(self, features, graphs):
        """f, Eq. 2: F^l_t = v(sum_s G^l_ts F^(l-1)_s, F^(l-1)_t)."""
        shape, d = ops.shape(features), features.shape[-1]
        for graph in graphs:
            parts = split_heads(features, graph.shape[1])  # slice k for head k
            graph = ops.cast(graph, features.dtype)
            m = ops.einsum("bkts,bskc->btkc", graph, parts)
            m, f = ops.reshape(m, (-1, d)), ops.reshape(features, (-1, d))
            f, _ = self.cell(ops.concatenate([m * f, m], axis=-1), [f])
            features = ops.reshape(f, shape)
        return features  # F^L, (B, T, d)

    def decode(self, features, fed):
        """Eq. 3: GRUs that start from F^L_t, fed with the tokens after t."""
        zeros = ops.zeros_like(features)[:, None]
        x = ops.concatenate([zeros, fed], axis=1)  # (B N, D, d)
        for gru in self.grus:
            x = gru(x, initial_state=features)
        return x


class Pretrainer(keras.Model):
    """Both directions; the backward one reads from the end."""

    def __init__(self, vocabulary_size, embedding_dim, **sizes):
        super().__init__()
        self.token_embedding = layers.Embedding(
            vocabulary_size,
            embedding_dim,
            keras.initializers.RandomUniform(-0.5, 0.5),
        )
        self.from_left = OneWay(self.token_embedding, **sizes)
        self.from_right = OneWay(self.token_embedding, **sizes)

    def call(self, inputs, training=None):
        ids, mask = inputs["token_ids"], inputs["padding_mask"]
        forward = self.from_left(ids, mask, training=training)
        ids, mask = ops.flip(ids, axis=1), ops.flip(mask, axis=1)
        backward = self.from_right(ids, mask, training=training)
        loss = 0.5 * (forward + backward)
        return {"loss": loss, "forward": forward, "backward": backward}

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return y_pred["loss"]

    def graphs(self, ids, mask):
        """Arrays `(B, L, K, T, T)` of both directions, in reading order."""
        embedded = self.token_embedding(ids)
        forward = ops.stack(self.from_left.g(embedded, mask), axis=1)
        embedded, mask = ops.flip(embedded, axis=1), ops.flip(mask, axis=1)
        backward = ops.stack(self.from_right.g(embedded, mask), axis=1)
        pair = {"forward": forward, "backward": ops.flip(backward, (-2, -1))}
        return {name: ops.convert_to_numpy(x) for name, x in pair.items()}


# === Transfer: f is thrown away, g is frozen, Sec. 2.2 and 2.3 ===


class GraphTransfer(layers.Layer):
    """`[H, (W1 X + b1) * sigmoid(W2 X + b2)]`, X = [H, M_fw H, M_bw H]."""

    def build(self, features_shape, graphs_shape):
        _, num_layers, heads, _, _ = graphs_shape["forward"]
        terms = (2 * num_layers - 1) * heads
        self.mixtures = self.add_weight((2, terms), "zeros")
        self.value = layers.Dense(features_shape[-1])
        self.gate = layers.Dense(features_shape[-1], activation="sigmoid")

    def call(self, features, graphs):
        x = [features]
        weights = ops.softmax(self.mixtures)
        for index, direction in enumerate(("forward", "backward")):
            terms = mixture_terms(graphs[direction])  # (B, N, T, T)
            m = ops.einsum("n,bnts->bts", weights[index], terms)
            x.append(ops.matmul(m, features))
        x = ops.concatenate(x, axis=-1)  # (B, T, 3 d)
        gated = self.value(x) * self.gate(x)
        return ops.concatenate([features, gated], axis=-1)  # (B, T, 2 d)


def mixture_terms(graphs):
    """G^1, G^2, P^2, G^3, P^3, ... with P^l = G^l @ ... @ G^1, head by head."""
    first, *others = ops.unstack(graphs, axis=1)  # (B, K, T, T)
    terms, product = [first], first
    for graph in others:
        product = ops.matmul(graph, product)
        terms += [graph, product]
    return ops.concatenate(terms, axis=1)  # (B, (2 L - 1) K, T, T)


# === Pretrain, draw, transfer ===

NAMES = ["ann", "bob", "cid", "dan", "eve", "fay"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "violet"]
WORDS = NAMES + COLOURS
WARM = [WORDS.index(colour) for colour in ("red", "orange", "yellow")]
SIZES = dict(num_heads=4, key_dim=8, num_conv_layers=1, num_graph_layers=1)


def make_texts(count, seed, num_pairs=12):
    """Ids `(count, 24)`, name and colour in turn; the last name is not new."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(len(COLOURS), size=(count, len(NAMES)))
    names = rng.integers(len(NAMES), size=(count, num_pairs))
    earlier = rng.integers(num_pairs - 1, size=count)
    names[:, -1] = names[np.arange(count), earlier]
    colours = len(NAMES) + np.take_along_axis(colours, names, axis=1)
    ids = np.stack([names, colours], axis=2)  # (count, pairs, 2)
    return ids.reshape(count, -1).astype("int32")


def pretrain(num_texts=2000, epochs=10):
    """Returns a trained `Pretrainer`."""
    ids = make_texts(num_texts, seed=1)
    model = Pretrainer(len(WORDS), 32, context_length=1, **SIZES)
    model.compile(keras.optimizers.Adam(1e-2))
    inputs = {"token_ids": ids, "padding_mask": ids >= 0}  # no padding
    model.fit(inputs, batch_size=64, epochs=epochs, verbose=2)
    return model


def draw(model, path):
    """Draws the forward graph of each head for one text."""
    from matplotlib.figure import Figure

    ids = make_texts(1, seed=2)
    heads = model.graphs(ids, ids >= 0)["forward"][0, 0]  # (K, T, T)
    words = [WORDS[i] for i in ids[0]]
    figure = Figure((10, 10), layout="constrained")
    for number, axes in enumerate(figure.subplots(2, 2).flat):
        axes.imshow(heads[number], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(words)), words, rotation=90)
        axes.set_yticks(range(len(words)), words)
        axes.set(title=f"head {number + 1}", xlabel="source", ylabel="receiver")
    figure.savefig(path, dpi=100)


def transfer(graphs, ids, targets, epochs=15):
    """Returns the held-out accuracy of a task with these graphs."""
    words = keras.Input(ids.shape[1:], dtype="int32", name="ids")
    inputs = {k: keras.Input(x.shape[1:], name=k) for k, x in graphs.items()}
    features = layers.Embedding(len(WORDS), 16)(words)  # H
    features = GraphTransfer()(features, inputs)
    logits = layers.Dense(1)(features[:, -1])
    task = keras.Model({"ids": words, **inputs}, logits)
    task.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = {"ids": ids, **graphs}
    found = task.fit(data, targets, 32, epochs, verbose=0, validation_split=0.2)
    return found.history["val_accuracy"][-1]


def uniform(graphs):
    """The control: all earlier (later) positions have the same weight."""
    edges = np.ones_like(graphs["forward"])
    pair = {"forward": np.tril(edges, -1), "backward": np.triu(edges, 1)}
    sums = {name: x.sum(-1, keepdims=True) for name, x in pair.items()}
    return {name: x / np.maximum(sums[name], 1) for name, x in pair.items()}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    pretrained = pretrain()
    draw(pretrained, "glomo_in_one_file.png")
    texts = make_texts(2500, seed=3)
    texts, colours = texts[:, :-1], texts[:, -1]
    learned = pretrained.graphs(texts, texts >= 0)
    graphs = {"learned": learned, "uniform": uniform(learned)}
    for kind, given in graphs.items():
        accuracy = transfer(given, texts, np.isin(colours, WARM))
        print(f"is the next colour warm? {kind} graphs: {accuracy:.3f}")
