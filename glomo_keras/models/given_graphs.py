import keras

from glomo_keras.models._layers_first_model import with_dtype_policy
from glomo_keras.models.task_graphs import TaskGraphs
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.utils import validation as check

PLACES = {"embeddings": "glomo", "states": "glomo-rnn"}


@keras.saving.register_keras_serializable(package="glomo_keras")
class GivenGraphs(TaskGraphs):
    """`TaskGraphs` whose graphs are inputs of the model, not a predictor's.

    For graphs that were computed before, or by something else: a parser, the
    released code. The model gets, for each text, `forward_graphs` and
    `backward_graphs`, float32 `(B, L, K, T, T)`, their names beginning with
    the text's prefix.

    Args:
        num_layers: integer L.
        num_heads: integer K.
        place: `"embeddings"` or `"states"`: what they are multiplied with.
        **options: `num_mixtures`, `conditioned`, `include_products`, `units`,
            `dropout`, `seed`, `dtype` of `TaskGraphs`.

    Raises:
        ValueError: an argument out of its range.

    Example:

    >>> import keras, glomo_keras as gk
    >>> reader = gk.models.SpanReader(
    ...     {"word_ids": keras.layers.Embedding(50, 8)},
    ...     gk.models.GivenGraphs(num_layers=3, num_heads=8), hidden_dim=4)
    >>> reader.input["question_forward_graphs"].shape
    (None, 3, 8, None, None)
    """

    def __init__(self, num_layers, num_heads, place="embeddings", **options):
        check.check_positive(num_layers=num_layers, num_heads=num_heads)
        check.check_option("place", place, tuple(PLACES))
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.place = place
        super().__init__(PLACES[place], **options)

    def _check_predictor(self):
        pass

    def _make_source(self):
        return keras.layers.Identity(name="given_graphs")

    def own_inputs(self, prefix=""):
        shape = (self.num_layers, self.num_heads, None, None)
        return {
            name: keras.Input(shape, dtype="float32", name=name)
            for name in self._names(prefix).values()
        }

    def _names(self, prefix):
        start = f"{prefix}_" if prefix else ""
        names = [f"{direction}_graphs" for direction in DIRECTIONS]
        return {name: start + name for name in names}

    def graphs_of(self, inputs, prefix=""):
        names = self._names(prefix)
        return self.source({k: inputs[name] for k, name in names.items()})

    def get_config(self):
        config = super().get_config()
        for name in ("mode", "predictor", "graph_layers", "uniform_edges"):
            del config[name]
        return {
            **config,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "place": self.place,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**with_dtype_policy(config))
