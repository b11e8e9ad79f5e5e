import keras

from glomo_keras.models import presets
from glomo_keras.models.feature_predictor import FeaturePredictor
from glomo_keras.models.self_scoring_model import SelfScoringModel
from glomo_keras.ops.batch_parts import from_first_part
from glomo_keras.ops.statistics import layer_statistics
from glomo_keras.ops.statistics import row_shortfall
from glomo_keras.utils import validation as check


class Pretrainer(SelfScoringModel):
    """Base class for pretrainers: g and f together, their loss and presets.

    Args:
        graph_predictor: g. It is trained with f where it is trainable.
        num_positions: Integer, positions per batch and direction at which
            training takes the loss, or None for all.
        messages, composition, share_cell: See `FeaturePredictor`.
        empty_row_weight: Float, weight of a second loss, which draws rows
            without an edge towards having one, see
            `ops.statistics.row_shortfall`. The `loss` of training includes
            it, that of evaluation does not. It has no effect on predictors
            of another activation than `"squared_relu"`, which leave no row
            empty.
        seed: Integer seed of what is drawn in training.
        dtype: Dtype policy, that of the predictor, or None.
        name: String.
    """

    def __init__(
        self,
        graph_predictor,
        num_positions,
        messages,
        composition,
        share_cell,
        empty_row_weight,
        seed,
        dtype,
        name,
    ):
        check.check_positive_or_none(num_positions=num_positions)
        if messages == "slices":
            _check_heads(graph_predictor)
        if empty_row_weight < 0:
            raise ValueError(
                "`empty_row_weight` must be at least 0. "
                f"Received: empty_row_weight={empty_row_weight}"
            )
        _check_coupled(graph_predictor, messages, composition, share_cell)
        policy = graph_predictor.dtype_policy
        if dtype is not None and keras.dtype_policies.get(dtype) != policy:
            raise ValueError(
                "`dtype` must be that of `graph_predictor`: build the "
                "predictor with it, or leave `dtype` out. "
                f"Received: dtype={dtype}, "
                f"graph_predictor.dtype_policy={policy}"
            )
        super().__init__(num_positions, seed, policy, name)
        self.graph_predictor = graph_predictor
        self.feature_predictor = FeaturePredictor(
            graph_predictor.embedding_dim,
            num_graph_layers=graph_predictor.num_graph_layers,
            num_heads=graph_predictor.num_heads,
            messages=messages,
            composition=composition,
            share_cell=share_cell,
            directions=graph_predictor.directions,
            compositions=getattr(graph_predictor, "compositions", None),
            dtype=self.dtype_policy,
            name="feature_predictor",
        )
        self.messages = messages
        self.composition = composition
        self.share_cell = share_cell
        self.empty_row_weight = empty_row_weight
        self.directions = graph_predictor.directions
        self.input_names = tuple(graph_predictor.input)

    def layer_features(
        self,
        embedded,
        sequence,
        padding_mask=None,
        positions=None,
        training=False,
    ):
        """Returns F^1 .. F^L of each direction, and how sparse graphs are.

        Args:
            embedded: What `graph_predictor.embed` returned.
            sequence: The same as `(B, T, d)`.
            padding_mask: Boolean `(B, T)`. Defaults to `None`.
            positions: Dict of an integer tensor `(N,)` or None by direction,
                where F^L is wanted. Defaults to `None`, everywhere.
            training: Boolean. Defaults to `False`.

        Returns:
            Tuple of a dict of lists by direction, and a dict of the scalars
            `edge_density`, `empty_rows` and, in training with an
            `empty_row_weight`, `row_shortfall`.
        """
        positions = positions or dict.fromkeys(self.directions)
        factors = self.graph_predictor.layer_by_layer(
            embedded, padding_mask, training=training, positions=positions
        )
        features = {}
        for direction, layers in factors.items():
            graphs = [self.graph_predictor.readable(layer) for layer in layers]
            features[direction] = self.feature_predictor.layer_by_layer(
                direction, sequence, graphs, positions[direction]
            )
        return features, self._statistics(factors, training)

    def _statistics(self, factors, training):
        densities, empty_rows = zip(
            *(
                layer_statistics(layer, self.graph_predictor.activation)
                for layers in factors.values()
                for layer in layers
            ),
            strict=True,
        )
        statistics = {
            "edge_density": sum(densities) / len(densities),
            "empty_rows": sum(empty_rows) / len(empty_rows),
        }
        sparse = self.graph_predictor.activation == "squared_relu"
        if training and self.empty_row_weight and sparse:
            missing = [row_shortfall(x) for x in sum(factors.values(), [])]
            statistics["row_shortfall"] = sum(missing) / len(missing)
        return {name: from_first_part(x) for name, x in statistics.items()}

    def objective(self, outputs):
        missing = self.empty_row_weight * outputs.get("row_shortfall", 0.0)
        return super().objective(outputs) + missing

    @classmethod
    def from_preset(cls, preset, dtype=None):
        """Reads a pretrainer, g and f, with its vocabulary if of texts.

        Args:
            preset: Folder that `save_to_preset` of a pretrainer wrote.
            dtype: Dtype policy, or its name, under which it computes.
                Defaults to `None`, the one it was saved with.

        Raises:
            ValueError: If there is no such preset, it holds another model (a
                graph predictor alone), or it is damaged, incomplete or too
                new.
        """
        model = presets.load(preset, dtype)
        presets.check_class(preset, model, cls)
        return model

    def save_to_preset(self, folder, dtype="float32"):
        """Writes the files of a preset, see `glomo_keras.models.presets`.

        Args:
            folder: Path; made if needed. An existing preset is replaced.
            dtype: `"float32"`, or `"float16"` for a file of half the size.
                Defaults to `"float32"`.
        """
        presets.save(self, folder, dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "graph_predictor": keras.saving.serialize_keras_object(
                self.graph_predictor
            ),
            "num_positions": self.num_positions,
            "messages": self.messages,
            "composition": self.composition,
            "share_cell": self.share_cell,
            "empty_row_weight": self.empty_row_weight,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        predictor = keras.saving.deserialize_keras_object(
            config["graph_predictor"]
        )
        return super().from_config({**config, "graph_predictor": predictor})


def _check_heads(predictor):
    if predictor.embedding_dim % predictor.num_heads:
        raise ValueError(
            "`num_heads` of the graph predictor must divide its "
            "`embedding_dim`: each head weighs a slice of the features. "
            f"Received: num_heads={predictor.num_heads}, "
            f"embedding_dim={predictor.embedding_dim}"
        )


def _check_coupled(predictor, *given):
    if not hasattr(predictor, "compositions"):
        return
    own = ("slices", predictor.composition, predictor.share_cell)
    if own != given:
        raise ValueError(
            "`messages`, `composition` and `share_cell` must be those of the "
            f"CoupledGraphPredictor, {own}. Received: {given}"
        )
