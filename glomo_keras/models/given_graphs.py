import keras

from glomo_keras.ops.graphs import GRAPHS
from glomo_keras.utils import validation as check


@keras.saving.register_keras_serializable(package="glomo_keras")
class GivenGraphs(keras.layers.Layer):
    """Takes the graphs of a task model from the model's own inputs.

    For graphs that were computed before, or by something else: a parser, the
    released code. For each text the model has the inputs `forward_graphs` and
    `backward_graphs`, float32 `(B, L, K, T, T)`, with the text's prefix
    before their names.

    Args:
        num_layers: Integer L.
        num_heads: Integer K.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Dict of `forward_graphs` and `backward_graphs`.

    Returns:
        The same dict.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import keras, glomo_keras as gk
    >>> reader = gk.models.SpanReader(
    ...     {"word_ids": keras.layers.Embedding(50, 8)},
    ...     gk.models.GivenGraphs(num_layers=3, num_heads=8), hidden_dim=4)
    >>> reader.input["question_forward_graphs"].shape
    (None, 3, 8, None, None)
    """

    input_names = GRAPHS

    def __init__(self, num_layers, num_heads, **kwargs):
        super().__init__(**kwargs)
        check.check_positive(num_layers=num_layers, num_heads=num_heads)
        self.num_layers = num_layers
        self.num_heads = num_heads

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, previous_mask):
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
        }
