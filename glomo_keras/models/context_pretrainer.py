import keras
from keras import ops

from glomo_keras.models.context_decoding import context_losses
from glomo_keras.models.context_decoding import in_reading_order
from glomo_keras.models.context_decoding import make_decoders
from glomo_keras.models.text_pretrainer import TextPretrainer
from glomo_keras.ops.context import scale_gradient_by_frequency
from glomo_keras.ops.cross_entropy import tied_cross_entropy
from glomo_keras.ops.graphs import DIRECTIONS


@keras.saving.register_keras_serializable(package="glomo_keras")
class ContextPretrainer(TextPretrainer):
    """Trains g and f together to predict each position's context, Eq. 3.

    The loss is the mean of the two directions' cross entropies per predicted
    token, in nats. It is computed inside the model, since the softmax is tied
    to the embedding and no array of logits is kept: compile with an optimizer
    only, fit on a dataset of input dicts.

    In training the loss is taken at `num_positions` positions drawn per batch
    and direction, with replacement, from those that have D tokens of context
    (the released code), or at all positions if None (the paper); in
    evaluation always at all. The last graph layer is computed only at these.

    Args:
        graph_predictor: `GraphPredictor` or `CoupledGraphPredictor`, whose K
            divides d. It is trained where it is trainable.
        context_length: Integer D, tokens predicted on each side. Defaults to
            `3`.
        num_positions: Integer or None, see above. Defaults to `None`.
        num_candidates: Integer. In training the sum of the softmax is
            estimated from the `num_candidates // 2` most frequent words and
            as many drawn from the others, see
            `ops.cross_entropy.draw_candidates`; ids must be in the order of
            frequency, as vocabularies of this package are. Defaults to
            `None`, all words.
        num_decoder_layers: Integer, GRU layers of the decoder. Defaults to
            `2`.
        messages: `"slices"`, `"values"` or `"mixture"`, how the graphs act on
            the features, see `FeaturePredictor`. Defaults to `"slices"`.
        composition: `"gru"` or `"residual"`, see `FeatureComposition`.
            Defaults to `"gru"`.
        share_cell: Boolean, one composition for all layers of a direction.
            Defaults to `True`.
        scale_embedding_gradient: Boolean, whether in training the gradient of
            each token's lookups is divided by its count in the batch (the
            released code). Defaults to `False`.
        empty_row_weight: Float, weight of a second loss, which draws rows
            without an edge towards having one, see
            `ops.statistics.row_shortfall`. The `loss` of training includes
            it, that of evaluation does not. It has no effect on predictors
            of another activation than `"squared_relu"`, which leave no row
            empty. Defaults to `0.0`.
        seed: Integer seed of the positions and candidates. Defaults to
            `None`.
        dtype: Dtype policy. Defaults to that of the predictor.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments:
        inputs: Dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real position.
        training: Boolean.

    Returns:
        Dict of scalars: `loss`, `forward_loss` and `backward_loss`; over how
        many tokens these are means, `forward_count` and `backward_count`;
        `edge_density` and `empty_rows`, shares of the admissible edges and
        rows of the batch's first sequence (its first 512 positions; of the
        last layer the rows decoded), over all layers, heads and both
        directions; in training with an `empty_row_weight`, `row_shortfall`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> predictor = gk.GraphPredictor(
    ...     vocabulary_size=50, embedding_dim=16, num_heads=2, key_dim=4)
    >>> pretrainer = gk.ContextPretrainer(predictor)
    >>> pretrainer.compile("adam")
    >>> ids = np.arange(40).reshape(4, 10)
    >>> x = {"token_ids": ids, "padding_mask": np.ones((4, 10), bool)}
    >>> history = pretrainer.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Sec. 2.1 and 2.3.
    """

    def __init__(
        self,
        graph_predictor,
        context_length=3,
        num_positions=None,
        num_candidates=None,
        num_decoder_layers=2,
        messages="slices",
        composition="gru",
        share_cell=True,
        empty_row_weight=0.0,
        scale_embedding_gradient=False,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        super().__init__(
            graph_predictor,
            num_candidates,
            num_positions,
            messages,
            composition,
            share_cell,
            empty_row_weight,
            seed,
            dtype,
            name,
        )
        self.decoders = make_decoders(
            graph_predictor.embedding_dim,
            context_length,
            num_decoder_layers,
            DIRECTIONS,
            self.dtype_policy,
        )
        self.built = True
        if not trainable:  # True would thaw a frozen predictor
            self.trainable = False

        # === Config ===
        self.context_length = context_length
        self.num_decoder_layers = num_decoder_layers
        self.scale_embedding_gradient = scale_embedding_gradient

    def call(self, inputs, training=None):
        token_ids = inputs["token_ids"]
        padding_mask = ops.cast(inputs["padding_mask"], "bool")
        length = ops.shape(token_ids)[1]
        candidates = ops.maximum(length - self.context_length, 1)
        drawn = {
            direction: self.draw_positions(candidates, training)
            for direction in DIRECTIONS
        }
        return self._context_losses(
            token_ids,
            padding_mask,
            in_reading_order(drawn, length),
            training,
            self.cross_entropy(training),
        )

    def context_loss(
        self, token_ids, positions=None, padding_mask=None, training=False
    ):
        """Returns the losses at given positions, over all words.

        Args:
            token_ids: Integer tensor `(B, T)`.
            positions: Dict of `forward` and `backward` integer tensors
                `(N,)`, not negative, each in its direction's own reading
                order: position p of `backward` is T - 1 - p. Defaults to
                `None`, all positions.
            padding_mask: Boolean tensor `(B, T)`. Defaults to `None`, all
                real.
            training: Boolean. Defaults to `False`.

        Returns:
            Dict of the scalars `forward_loss`, `backward_loss` and `loss`,
            their mean, in nats per predicted token. Only `loss` has a
            gradient.
        """
        token_ids = ops.cast(ops.convert_to_tensor(token_ids), "int32")
        if padding_mask is None:
            padding_mask = ops.ones_like(token_ids, dtype="bool")
        positions = positions or dict.fromkeys(DIRECTIONS)
        losses = self._context_losses(
            token_ids,
            ops.convert_to_tensor(padding_mask),
            in_reading_order(positions, ops.shape(token_ids)[1]),
            training,
            tied_cross_entropy,
        )
        names = ("forward_loss", "backward_loss", "loss")
        return {name: losses[name] for name in names}

    def features(self, inputs):
        """Returns embeddings and features of all layers, in inference mode.

        Args:
            inputs: Dict as for calling the model.

        Returns:
            Dict of `embeddings` `(B, T, d)`, `forward_features` and
            `backward_features`, each `(B, L, T, d)`, in reading order.
        """
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        embedded = self.graph_predictor.embed(inputs)
        features, _ = self.layer_features(
            embedded, embedded, inputs["padding_mask"]
        )
        stacked = {
            f"{direction}_features": ops.stack(layers, axis=1)
            for direction, layers in features.items()
        }
        return {"embeddings": embedded, **stacked}

    def _context_losses(
        self, token_ids, padding_mask, positions, training, entropy
    ):
        embedded = self.graph_predictor.embed({"token_ids": token_ids})
        if training and self.scale_embedding_gradient:
            embedded = scale_gradient_by_frequency(
                embedded,
                token_ids,
                self.graph_predictor.vocabulary_size,
                padding_mask,
            )
        features, statistics = self.layer_features(
            embedded, embedded, padding_mask, positions, training
        )
        losses = context_losses(
            self.decoders,
            {name: layers[-1] for name, layers in features.items()},
            embedded,
            token_ids,
            padding_mask,
            positions,
            ops.convert_to_tensor(
                self.graph_predictor.token_embedding.embeddings
            ),
            entropy,
        )
        return {**losses, **statistics}

    def get_config(self):
        return {
            **super().get_config(),
            "context_length": self.context_length,
            "num_decoder_layers": self.num_decoder_layers,
            "scale_embedding_gradient": self.scale_embedding_gradient,
        }
