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

DIRECTIONS = ("forward", "backward")

# === Pretraining: two networks learn together to predict the next tokens ===


class CausalCNN(layers.Layer):
    """Convolutions that see no later position: `(B, T, d)` to `(B, T, d)`."""

    def __init__(self, d, num_layers):
        super().__init__()
        self.convs = [
            layers.Conv1D(d, 3, padding="causal") for _ in range(num_layers)
        ]
        self.norms = [
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
            for _ in range(num_layers)
        ]

    def call(self, x, padding_mask, training=None):
        real = ops.cast(ops.expand_dims(padding_mask, 2), x.dtype)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x * real), training=training, mask=padding_mask)
            x = ops.relu(x)
        return x


class GraphPredictor(layers.Layer):
    """g: from embeddings `(B, T, d)` the graphs of L layers, `(B, K, T, T)`."""

    def __init__(self, d, heads, key_dim, num_convs, num_layers):
        super().__init__()
        self.heads = heads
        self.key_cnn = CausalCNN(d, num_convs)
        self.query_cnn = CausalCNN(d, num_convs)
        self.keys, self.queries, self.thresholds = (
            [layers.Dense(width) for _ in range(num_layers)]
            for width in (heads * key_dim, heads * key_dim, 1)
        )

    def call(self, embedded, padding_mask, training=None):
        for_keys = self.key_cnn(embedded, padding_mask, training=training)
        for_queries = self.query_cnn(embedded, padding_mask, training=training)
        graphs = []
        for layer, threshold in enumerate(self.thresholds):
            k = split_heads(self.keys[layer](for_keys), self.heads)
            q = split_heads(self.queries[layer](for_queries), self.heads)
            graphs.append(squared_relu_graph(q, k, threshold(q), padding_mask))
        return graphs


def split_heads(x, heads):
    batch, length = ops.shape(x)[:2]
    return ops.reshape(x, (batch, length, heads, x.shape[-1] // heads))


def squared_relu_graph(queries, keys, thresholds, padding_mask):
    """Eq. 1: a_ts = relu(q_t . k_s - b_t), G_ts = a_ts^2 / sum_s' a_ts'^2."""
    scores = ops.einsum("btkc,bskc->bkts", queries, keys)
    scores = scores - ops.transpose(thresholds, (0, 2, 1, 3))
    squares = ops.square(ops.relu(ops.cast(scores, "float32")))
    at = ops.arange(ops.shape(keys)[1])
    earlier = ops.expand_dims(at, 0) < ops.expand_dims(at, 1)  # (T, T)
    real = ops.logical_and(
        ops.expand_dims(padding_mask, 1), ops.expand_dims(padding_mask, 2)
    )  # (B, T, T)
    edges = ops.expand_dims(ops.logical_and(earlier, real), 1)
    squares = ops.where(edges, squares, 0.0)
    sums = ops.sum(squares, axis=-1, keepdims=True)
    return ops.divide_no_nan(squares, sums)  # (B, K, T, T)


class FeaturePredictor(layers.Layer):
    """f, Eq. 2: F^l_t = v(sum_s G^l_ts F^(l-1)_s, F^(l-1)_t); v is a GRU."""

    def __init__(self, d):
        super().__init__()
        self.cell = layers.GRUCell(d)  # shared by all layers

    def call(self, embedded, graphs):
        shape, d = ops.shape(embedded), embedded.shape[-1]
        features = embedded  # F^0
        for graph in graphs:
            m = ops.reshape(weighted_sum(graph, features), (-1, d))
            f = ops.reshape(features, (-1, d))
            output, _ = self.cell(ops.concatenate([m * f, m], axis=-1), [f])
            features = ops.reshape(output, shape)
        return features  # F^L, (B, T, d)


def weighted_sum(graph, features):
    """sum_s G_ts F_s, `(B, T, d)`: head k weighs slice k of the features."""
    parts = split_heads(features, graph.shape[1])
    graph = ops.cast(graph, features.dtype)
    sums = ops.einsum("bkts,bskc->btkc", graph, parts)
    return ops.reshape(sums, ops.shape(features))


class ContextDecoder(layers.Layer):
    """Eq. 3: GRUs that start from F^L_t and predict the D tokens after t."""

    def __init__(self, d):
        super().__init__()
        self.grus = [layers.GRU(d, return_sequences=True) for _ in range(2)]

    def call(self, features, fed):  # (B, N, d), (B, N, D - 1, d)
        zeros = ops.expand_dims(ops.zeros_like(features), 2)
        x = ops.concatenate([zeros, fed], axis=2)
        shape, d = ops.shape(x), x.shape[-1]
        x = ops.reshape(x, (-1, fed.shape[2] + 1, d))
        for gru in self.grus:
            x = gru(x, initial_state=ops.reshape(features, (-1, d)))
        return ops.reshape(x, shape)  # (B, N, D, d)


class Pretrainer(keras.Model):
    """g and f of both directions; the backward ones read from the end."""

    def __init__(
        self,
        vocabulary_size,
        embedding_dim=512,
        num_heads=8,
        key_dim=256,
        num_conv_layers=4,
        num_graph_layers=3,
        context_length=3,
        num_positions=None,
    ):
        super().__init__()
        self.context_length = context_length
        self.num_positions = num_positions
        self.token_embedding = layers.Embedding(
            vocabulary_size,
            embedding_dim,
            keras.initializers.RandomUniform(-0.5, 0.5),
        )
        sizes = (embedding_dim, num_heads, key_dim)
        self.g, self.f, self.decoders = {}, {}, {}
        for name in DIRECTIONS:
            self.g[name] = GraphPredictor(
                *sizes, num_conv_layers, num_graph_layers
            )
            self.f[name] = FeaturePredictor(embedding_dim)
            self.decoders[name] = ContextDecoder(embedding_dim)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs, training=None):
        ids, mask = inputs["token_ids"], inputs["padding_mask"]
        forward = self._loss("forward", ids, mask, training)
        ids, mask = ops.flip(ids, axis=1), ops.flip(mask, axis=1)
        backward = self._loss("backward", ids, mask, training)
        loss = 0.5 * (forward + backward)
        return {"loss": loss, "forward": forward, "backward": backward}

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return y_pred["loss"]

    def _loss(self, direction, ids, mask, training):
        """The mean cross entropy of the D tokens after each position."""
        length = ops.shape(ids)[1]
        at = self._positions(length, training)  # (N,)
        steps = ops.arange(1, self.context_length + 1)
        context = ops.expand_dims(at, 1) + steps  # (N, D)
        inside = context < length
        context = ops.minimum(context, length - 1)
        embedded = self.token_embedding(ids)  # F^0, (B, T, d)
        graphs = self.g[direction](embedded, mask, training=training)
        features = self.f[direction](embedded, graphs)
        states = self.decoders[direction](
            ops.take(features, at, axis=1),
            ops.take(embedded, context[:, :-1], axis=1),
        )  # (B, N, D, d)
        embeddings = ops.cast(self.token_embedding.embeddings, states.dtype)
        logits = ops.matmul(states, ops.transpose(embeddings))  # (B, N, D, V)
        losses = ops.sparse_categorical_crossentropy(
            ops.take(ids, context, axis=1),
            ops.cast(logits, "float32"),
            from_logits=True,
        )  # (B, N, D)
        real = ops.logical_and(ops.take(mask, context, axis=1), inside)
        decoded = ops.expand_dims(ops.take(mask, at, axis=1), 2)
        weights = ops.cast(ops.logical_and(real, decoded), "float32")
        return ops.divide_no_nan(ops.sum(weights * losses), ops.sum(weights))

    def _positions(self, length, training):
        """All positions; or, in training, N that have D tokens after them."""
        if not training or self.num_positions is None:
            return ops.arange(length)
        shape, last = (self.num_positions,), length - self.context_length
        return keras.random.randint(shape, 0, last, seed=self.seed_generator)

    def graphs(self, ids, mask):
        """Graphs of both directions in reading order, `(B, L, K, T, T)`."""
        x = self.token_embedding(ids)
        forward = self.g["forward"](x, mask)
        backward = self.g["backward"](ops.flip(x, axis=1), ops.flip(mask, 1))
        backward = ops.flip(ops.stack(backward, axis=1), axis=(-2, -1))
        return {"forward": ops.stack(forward, axis=1), "backward": backward}


# === Transfer: f is thrown away, g is frozen, Sec. 2.2 and 2.3 ===


class GraphTransfer(layers.Layer):
    """`[H, (W1 X + b1) * sigmoid(W2 X + b2)]`, X = [H, M_fw H, M_bw H]."""

    def build(self, features_shape, graphs_shape):
        _, num_layers, heads, _, _ = graphs_shape["forward"]
        terms, d = (2 * num_layers - 1) * heads, features_shape[-1]
        self.mixtures = {
            direction: self.add_weight((terms,), "zeros", name=direction)
            for direction in DIRECTIONS
        }
        self.value = layers.Dense(d)
        self.gate = layers.Dense(d, activation="sigmoid")
        for dense in (self.value, self.gate):
            dense.build((None, None, 3 * d))

    def call(self, features, graphs):
        x = [features]
        for direction in DIRECTIONS:
            w = ops.softmax(ops.convert_to_tensor(self.mixtures[direction]))
            terms = mixture_terms(graphs[direction])  # (B, N, T, T)
            x.append(ops.matmul(ops.einsum("n,bnts->bts", w, terms), features))
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


# === The texts and the task ===

NAMES = ["ann", "bob", "cid", "dan", "eve", "fay"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "violet"]
WORDS = NAMES + COLOURS


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


def make_task(count, seed):
    """Texts that end in a name, and whether its colour is a warm one."""
    ids = make_texts(count, seed)
    return ids[:, :-1], np.isin(ids[:, -1] - len(NAMES), (0, 1, 2)).astype(int)


# === Pretrain, draw, transfer ===


def pretrain(num_texts=2000, epochs=10):
    """Returns a trained `Pretrainer`."""
    ids = make_texts(num_texts, seed=1)
    model = Pretrainer(
        len(WORDS),
        embedding_dim=32,
        num_heads=4,
        key_dim=8,
        num_conv_layers=1,
        num_graph_layers=1,
        context_length=1,
    )
    model.compile(keras.optimizers.Adam(1e-2))
    inputs = {"token_ids": ids, "padding_mask": np.ones(ids.shape, "bool")}
    model.fit(inputs, batch_size=64, epochs=epochs, verbose=2)
    return model


def extract(model, ids):
    """Returns the frozen graphs as arrays `(B, L, K, T, T)`."""
    graphs = model.graphs(ids, np.ones(ids.shape, "bool"))
    return {name: ops.convert_to_numpy(x) for name, x in graphs.items()}


def draw(model, path):
    """Draws the forward graph of each head for one text."""
    from matplotlib.figure import Figure

    ids = make_texts(1, seed=2)
    heads = extract(model, ids)["forward"][0, 0]  # (K, T, T)
    words = [WORDS[i] for i in ids[0]]
    figure = Figure((10, 10), layout="constrained")
    for number, axes in enumerate(figure.subplots(2, 2).flat):
        axes.imshow(heads[number], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(words)), words, rotation=90)
        axes.set_yticks(range(len(words)), words)
        axes.set(title=f"head {number + 1}", xlabel="source", ylabel="receiver")
    figure.savefig(path, dpi=100)


def transfer(model, kind, num_texts=2500, epochs=15):
    """Returns the held-out accuracy on the task with a kind of graphs."""
    ids, warm = make_task(num_texts, seed=3)
    graphs = extract(model, ids)
    if kind == "uniform":
        graphs = uniform(graphs)
    words = keras.Input((None,), dtype="int32", name="ids")
    inputs = {
        name: keras.Input(x.shape[1:], name=name) for name, x in graphs.items()
    }
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
    found = task.fit(data, warm, 32, epochs, verbose=0, validation_split=0.2)
    return found.history["val_accuracy"][-1]


def uniform(graphs):
    """The control: graphs in which all earlier (later) positions are equal."""
    shape = graphs["forward"].shape
    earlier = np.tril(np.ones(shape[-2:], "float32"), -1)
    earlier /= np.maximum(earlier.sum(axis=-1, keepdims=True), 1)
    pair = {"forward": earlier, "backward": earlier[::-1, ::-1]}
    return {name: np.broadcast_to(x, shape) for name, x in pair.items()}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    pretrained = pretrain()
    draw(pretrained, "glomo_in_one_file.png")
    for kind in ("learned", "uniform"):
        accuracy = transfer(pretrained, kind)
        print(f"is the next colour warm? {kind} graphs: {accuracy:.3f}")
