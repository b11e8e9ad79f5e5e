import keras
from keras import ops

from glomo_keras.models.text_pretrainer import TextPretrainer
from glomo_keras.ops.context import losses_of_directions
from glomo_keras.ops.graphs import DIRECTIONS


@keras.saving.register_keras_serializable(package="glomo_keras")
class SkipThoughtPretrainer(TextPretrainer):
    """Trains g and f by skip-thought: the ablation of unit-level objectives.

    One vector of a text has to predict the words of its neighbour, where
    `ContextPretrainer` predicts the context of each position. g and f are the
    same. Corpora of this package keep no sentences, so the two halves of a
    window stand for two that follow each other:

        s = mean_t F^L_t                          over the positions of a half
        h_i = GRU([E(y_(i-1)); s], h_(i-1))       E(y_0) = 0, h_0 = 0
        p(y_i | y_(<i), s) = softmax(E h_i)       y the words of the other half

    The forward features of the first half predict the second half, as the
    next sentence; the backward features of the second half predict the first,
    as the previous one. Both are predicted in reading order, by a GRU of each
    direction whose gates see s at every step (Kiros et al.). There s is the
    last state of an RNN; here it is the mean, which does not depend on the
    order of the features.

    The loss is the mean of the two directions' cross entropies per word, in
    nats: compile with an optimizer only, fit on a dataset of input dicts. A
    word counts if it is real and the other half has a real position. The cut
    is in the middle of the T positions, padding included.

    Args:
        graph_predictor, num_candidates, messages, composition, share_cell,
            empty_row_weight: See `ContextPretrainer`.
        seed: Integer seed of the candidates. Defaults to `None`.
        dtype, name, trainable: See `ContextPretrainer`.

    Call arguments:
        inputs: Dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real position; T is at least 2.
        training: Boolean.

    Returns:
        Dict of scalars: the losses and counts, `edge_density` and `empty_rows`,
        see `ContextPretrainer`. Of the last layer, the rows of the half that
        is encoded count.

    Raises:
        ValueError: If an argument is out of its range, or T is 1.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> predictor = gk.GraphPredictor(
    ...     vocabulary_size=50, embedding_dim=16, num_heads=2, key_dim=4)
    >>> pretrainer = gk.models.SkipThoughtPretrainer(predictor)
    >>> pretrainer.compile("adam")
    >>> ids = np.arange(40).reshape(4, 10)
    >>> x = {"token_ids": ids, "padding_mask": np.ones((4, 10), bool)}
    >>> history = pretrainer.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Sec. 2.1.1 and Table 2, the ablation "unit-level";
        Kiros et al. 2015, "Skip-Thought Vectors", Sec. 2.1.
    """

    def __init__(
        self,
        graph_predictor,
        num_candidates=None,
        messages="slices",
        composition="gru",
        share_cell=True,
        empty_row_weight=0.0,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        super().__init__(
            graph_predictor,
            num_candidates,
            None,
            messages,
            composition,
            share_cell,
            empty_row_weight,
            seed,
            dtype,
            name,
        )
        width = graph_predictor.embedding_dim
        self.decoders = {
            direction: keras.layers.GRU(
                width,
                return_sequences=True,
                use_cudnn=False,  # with it Keras compiles no part by XLA
                dtype=self.dtype_policy,
                name=f"{direction}_decoder",
            )
            for direction in DIRECTIONS
        }
        for decoder in self.decoders.values():
            decoder.build((None, None, 2 * width))
        self.built = True
        if not trainable:  # True would thaw a frozen predictor
            self.trainable = False

    def call(self, inputs, training=None):
        token_ids = inputs["token_ids"]
        mask = ops.cast(inputs["padding_mask"], "bool")
        embedded = self.graph_predictor.embed({"token_ids": token_ids})
        vectors, statistics = self._encode(embedded, mask, training)
        words, masks = _halves(embedded), _halves(mask)
        targets = _halves(token_ids)
        decoded = {}
        for own, other in (DIRECTIONS, DIRECTIONS[::-1]):
            states = self._decode(own, vectors[own], words[other])
            known = ops.any(masks[own], axis=1, keepdims=True)  # (B, 1)
            weights = ops.cast(ops.logical_and(masks[other], known), "float32")
            decoded[own] = (
                ops.reshape(states, (-1, states.shape[-1])),
                ops.reshape(targets[other], (-1,)),
                ops.reshape(weights, (-1,)),
            )
        losses = losses_of_directions(
            decoded,
            ops.convert_to_tensor(
                self.graph_predictor.token_embedding.embeddings
            ),
            self.cross_entropy(training),
        )
        return {**losses, **statistics}

    def vectors(self, inputs):
        """Returns the vectors s of the two halves, in inference mode.

        Args:
            inputs: Dict as for calling the model.

        Returns:
            Dict of `forward`, of the first half, and `backward`, of the
            second, each `(B, d)`; 0 where a half is all padding.
        """
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        mask = ops.cast(inputs["padding_mask"], "bool")
        return self._encode(self.graph_predictor.embed(inputs), mask, False)[0]

    def _encode(self, embedded, mask, training):
        if embedded.shape[1] == 1:
            raise ValueError(
                "`token_ids` must have at least 2 positions, which are cut "
                f"into two halves. Received: shape={tuple(mask.shape)}"
            )
        positions = _halves(
            ops.arange(ops.shape(embedded)[1], dtype="int32")[None]
        )
        features, statistics = self.layer_features(
            embedded,
            embedded,
            mask,
            {direction: rows[0] for direction, rows in positions.items()},
            training,
        )
        masks = _halves(mask)
        vectors = {
            direction: _mean(layers[-1], masks[direction])
            for direction, layers in features.items()
        }
        return vectors, statistics

    def _decode(self, direction, vectors, words):
        """Returns the states that predict the words, `(B, S, d)`."""
        previous = ops.pad(words, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        vectors = ops.broadcast_to(vectors[:, None], ops.shape(words))
        steps = ops.concatenate([previous, vectors], axis=-1)  # (B, S, 2 d)
        return self.decoders[direction](steps)

    def get_config(self):
        config = super().get_config()
        del config["num_positions"]
        return config


def _halves(x):
    """Cuts `(B, T, ...)` into the half that each direction encodes."""
    middle = ops.shape(x)[1] // 2
    return dict(zip(DIRECTIONS, (x[:, :middle], x[:, middle:]), strict=True))


def _mean(features, mask):
    """Returns the mean of the real positions, in float32: `(B, d)`."""
    mask = ops.cast(ops.expand_dims(mask, -1), "float32")
    total = ops.sum(ops.cast(features, "float32") * mask, axis=1)
    mean = ops.divide_no_nan(total, ops.sum(mask, axis=1))
    return ops.cast(mean, features.dtype)
