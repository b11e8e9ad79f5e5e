import keras
from keras import ops

from glomo_keras.layers import MultiHeadTransfer
from glomo_keras.metrics import Perplexity
from glomo_keras.models.context_decoding import context_losses
from glomo_keras.models.context_decoding import in_reading_order
from glomo_keras.models.context_decoding import make_decoders
from glomo_keras.models.self_scoring_model import SelfScoringModel
from glomo_keras.models.text_inputs import graphs_from
from glomo_keras.models.text_inputs import text_inputs
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class TransferProbe(SelfScoringModel):
    """Measures how much frozen graphs help freshly initialised features.

    A fresh embedding E, and for each direction a fresh transfer and decoder,
    learn to predict the D tokens after (backward: before) each position, the
    task of pretraining (Eq. 3):

        F = W transfer(E, graphs)
        p(x_(t+1) .. x_(t+D)) = decoder(F_t), tied to E

    The graphs come from a frozen source, or from a `DistanceDecayGraph`,
    whose rates are trained. Without graphs, F = W E. The perplexity of
    held-out text, next to that under uniform graphs, distance decay or none,
    says how much the graphs help. It needs no labels and varies little
    between seeds.

    Each direction uses only its own graphs: a backward graph would show the
    forward decoder the words that it must predict.

    The model computes its own loss: compile it with an optimizer only, and
    fit it on a dataset of input dicts.

    Args:
        vocabulary_size: Integer V.
        graphs: Source of graphs: `PredictedGraphs`, `UniformGraph`,
            `DistanceDecayGraph`, see `TextModel`; None for no graphs.
        transfer: Layer `call(features, graphs)`, copied by its config for
            each direction; without graphs it does nothing. Defaults to
            `None`, which is `MultiHeadTransfer()`.
        embedding_dim: Integer d. Defaults to `128`.
        vectors: Layer that maps `token_ids` to features `(B, T, e)`, such as
            a frozen `Embedding` of word vectors. The graphs then act on its
            output, and E serves only the decoders. Defaults to `None`.
        context_length: Integer D. Defaults to `3`.
        num_positions: Integer, positions per batch and direction at which
            training takes the loss; None for all. Defaults to `None`.
        num_candidates: See `ContextPretrainer`. Defaults to `None`.
        num_decoder_layers: Integer, GRU layers of each decoder. Defaults to
            `2`.
        directions: Sequence of `"forward"`, `"backward"` or both. Defaults to
            both.
        seed: Integer seed of the positions and candidates. Defaults to
            `None`.
        dtype: Dtype policy. Defaults to `None`, the global one.
        name: String.
        trainable: Boolean. Defaults to `True`.

    Call arguments:
        inputs: Dict of `token_ids`, int32 `(B, T)`, and `padding_mask`,
            boolean `(B, T)`, True = real position.
        training: Boolean.

    Returns:
        Dict of the scalars `loss`, `forward_loss` and `backward_loss`, nats
        per predicted token, `forward_count` and `backward_count`, how many
        tokens these are.

    Raises:
        ValueError: If an argument is out of its range, or the graphs are made
            from other inputs, have edges on both sides or lack a direction.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> probe = gk.models.TransferProbe(
    ...     50, gk.layers.UniformGraph(), embedding_dim=16)
    >>> probe.compile("adam")
    >>> ids = np.arange(40).reshape(4, 10)
    >>> x = {"token_ids": ids, "padding_mask": np.ones((4, 10), bool)}
    >>> history = probe.fit(x, batch_size=2, verbose=0)

    Reference:
        Yang et al. 2018, Eq. 3 (the objective).
    """

    def __init__(
        self,
        vocabulary_size,
        graphs,
        transfer=None,
        embedding_dim=128,
        vectors=None,
        context_length=3,
        num_positions=None,
        num_candidates=None,
        num_decoder_layers=2,
        directions=DIRECTIONS,
        seed=None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        check.check_positive(
            vocabulary_size=vocabulary_size, embedding_dim=embedding_dim
        )
        check.check_positive_or_none(
            num_positions=num_positions, num_candidates=num_candidates
        )
        check.check_different("directions", directions, DIRECTIONS)
        super().__init__(num_positions, seed, dtype, name)
        dtype = self.dtype_policy
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=keras.initializers.RandomUniform(-0.5, 0.5),
            dtype=dtype,
            name="token_embedding",
        )
        self.token_embedding.build()
        self.input_names = ("token_ids", "padding_mask")
        needed = getattr(graphs, "input_names", ())
        if not set(needed) <= set(self.input_names):
            raise ValueError(
                "`graphs` must be made from token_ids and padding_mask. "
                f"Received: graphs={graphs}, made from {', '.join(needed)}"
            )
        if getattr(graphs, "edges", "one_sided") != "one_sided":
            raise ValueError(
                "`graphs` must be one-sided: edges on both sides show the "
                "model the words that it must predict. "
                f"Received: edges={graphs.edges!r}"
            )
        self.graphs = graphs
        self.vectors = vectors
        if transfer is None:
            transfer = MultiHeadTransfer(dtype=dtype, name="transfer")
        self.transfers = {d: _copy(transfer, d) for d in directions}
        self.outputs_dense = {
            direction: keras.layers.Dense(
                embedding_dim, dtype=dtype, name=f"{direction}_outputs"
            )
            for direction in directions
        }
        self.decoders = make_decoders(
            embedding_dim, context_length, num_decoder_layers, directions, dtype
        )
        self.trackers = {
            f"{direction}_loss": Perplexity(name=f"{direction}_perplexity")
            for direction in directions
        }

        # Called once with symbols, so that all layers are built.
        inputs = text_inputs(self.input_names)
        self._features(*inputs.values(), dict.fromkeys(directions), False)
        self.built = True
        if not trainable:
            self.trainable = False

        # === Config ===
        self.vocabulary_size = vocabulary_size
        # As a config: Keras would track the layer itself, which is never built.
        self._transfer_config = keras.layers.serialize(transfer)
        self.embedding_dim = embedding_dim
        self.context_length = context_length
        self.num_candidates = num_candidates
        self.num_decoder_layers = num_decoder_layers
        self.directions = tuple(directions)

    def call(self, inputs, training=None):
        token_ids = inputs["token_ids"]
        mask = ops.cast(inputs["padding_mask"], "bool")
        length = ops.shape(token_ids)[1]
        count = ops.maximum(length - self.context_length, 1)
        drawn = {
            direction: self.draw_positions(count, training)
            for direction in self.directions
        }
        positions = in_reading_order(drawn, length)
        features = self._features(token_ids, mask, positions, training)
        return context_losses(
            self.decoders,
            features,
            self.token_embedding(token_ids),
            token_ids,
            mask,
            positions,
            ops.convert_to_tensor(self.token_embedding.embeddings),
            self.cross_entropy(training),
        )

    def features(self, inputs):
        """Returns F, what the decoders start from, in inference mode.

        Args:
            inputs: Dict as for calling the model.

        Returns:
            Dict of `(B, T, d)` by direction.
        """
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        return self._features(
            inputs["token_ids"],
            ops.cast(inputs["padding_mask"], "bool"),
            dict.fromkeys(self.directions),
            training=False,
        )

    def _features(self, token_ids, mask, positions, training):
        embed = self.token_embedding if self.vectors is None else self.vectors
        embedded, features, graphs = embed(token_ids), {}, None
        if self.graphs is not None:
            inputs = {"token_ids": token_ids, "padding_mask": mask}
            graphs = graphs_from(self.graphs, inputs)
        for direction, rows in positions.items():
            x = embedded
            if graphs is not None:
                own = {k: v for k, v in graphs.items() if direction in k}
                if not own:
                    raise ValueError(
                        f"`graphs` must give {direction}_graphs, or "
                        f"`directions` must leave {direction!r} out. "
                        f"Received: {sorted(graphs)}"
                    )
                x = self.transfers[direction](x, own, training=training)
            if rows is not None:
                x = ops.take(x, rows, axis=1)  # (B, N, w)
            features[direction] = self.outputs_dense[direction](x)
        return features

    def get_config(self):
        serialize = keras.layers.serialize
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "graphs": self.graphs and serialize(self.graphs),
            "transfer": self._transfer_config,
            "embedding_dim": self.embedding_dim,
            "vectors": self.vectors and serialize(self.vectors),
            "context_length": self.context_length,
            "num_positions": self.num_positions,
            "num_candidates": self.num_candidates,
            "num_decoder_layers": self.num_decoder_layers,
            "directions": self.directions,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        read = keras.layers.deserialize
        names = ("graphs", "transfer", "vectors")
        layers = {name: config[name] and read(config[name]) for name in names}
        return super().from_config({**config, **layers})


def _copy(layer, direction):
    config = {**layer.get_config(), "name": f"{direction}_{layer.name}"}
    return layer.from_config(config)
