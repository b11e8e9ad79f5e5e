import keras
import numpy as np
from keras import ops

from glomo_keras.ops.equations import admissible_edges
from glomo_keras.ops.equations import normalize_rows
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check

SCALE = 10.0
"""A rate is stored as w with `rate = exp(SCALE * w)`, so that a usual learning
rate moves it fast enough."""


@keras.saving.register_keras_serializable(package="glomo_keras")
class DistanceDecayGraph(keras.layers.Layer):
    """Makes graphs whose edges depend on the distance alone.

        G_ts = exp(-rate * |t - s|) / Z_t   over the admissible s

    They are a control: a learned graph that beats them encodes more than
    distance. With `rate=None` each layer and head has a rate of its own,
    learned with the rest of the model; a rate of 0 makes uniform graphs.

    Rows sum to 1, or to 0 where no source is admissible. Weights and row sums
    are float32; the graphs have the compute dtype.

    Args:
        num_layers: Integer L. Defaults to `1`.
        num_heads: Integer K. Defaults to `1`.
        rate: Float, at least 0. Defaults to `None`: learned, from 0.02 for
            the first head to 3 for the last.
        directions: Sequence of `"forward"`, `"backward"` or both. Defaults to
            both.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        padding_mask: Boolean `(B, T)`, True = real position.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, or one of them, each
        `(B, L, K, T, T)`: rows are receivers, in reading order.

    Raises:
        ValueError: If an argument is out of its range, or the padding mask is
            not of rank 2.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> layer = gk.layers.DistanceDecayGraph(rate=np.log(2))
    >>> graphs = layer(np.array([[True, True, True]]))
    >>> keras.ops.convert_to_numpy(graphs["forward_graphs"])[0, 0, 0].round(2)
    array([[0.  , 0.  , 0.  ],
           [1.  , 0.  , 0.  ],
           [0.33, 0.67, 0.  ]], dtype=float32)
    """

    def __init__(
        self,
        num_layers=1,
        num_heads=1,
        rate=None,
        directions=DIRECTIONS,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check.check_positive(num_layers=num_layers, num_heads=num_heads)
        check.check_different("directions", directions, DIRECTIONS)
        if rate is not None and not 0 <= rate < np.inf:
            raise ValueError(
                "`rate` must be a finite number of at least 0, or None. "
                f"Received: rate={rate!r}"
            )
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.rate = rate
        self.directions = tuple(directions)
        self.supports_masking = True

    def build(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")
        self.log_rates = {}
        if self.rate is None:
            self.log_rates = {
                direction: self.add_weight(
                    name=f"{direction}_log_rates",
                    shape=(self.num_layers, self.num_heads),
                    initializer=_spread,
                )
                for direction in self.directions
            }

    def rates(self, direction):
        """Returns the rates, float32 `(L, K)`."""
        shape = (self.num_layers, self.num_heads)
        if self.rate is not None:
            return ops.full(shape, self.rate, dtype="float32")
        logs = ops.convert_to_tensor(self.log_rates[direction])
        return ops.exp(SCALE * ops.cast(logs, "float32"))

    def call(self, padding_mask):
        mask = ops.cast(padding_mask, "bool")
        return {
            f"{direction}_graphs": ops.cast(
                self._graph(mask, direction), self.compute_dtype
            )
            for direction in self.directions
        }

    def _graph(self, mask, direction):
        length = ops.shape(mask)[1]
        positions = ops.arange(length, dtype="int32")
        distance = ops.abs(positions[:, None] - positions)  # (T, T)
        allowed = admissible_edges(positions, positions, direction, mask)
        allowed = allowed[:, None]  # (B, 1, 1, T, T)
        # Counted from the nearest source, so that no row underflows in float32.
        nearest = ops.min(
            ops.where(allowed, distance, length),
            axis=-1,
            keepdims=True,
            initial=length,
        )  # (B, 1, 1, T, 1)
        steps = ops.cast(ops.maximum(distance - nearest, 0), "float32")
        weights = ops.exp(-self.rates(direction)[..., None, None] * steps)
        return normalize_rows(ops.where(allowed, weights, 0.0))

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")
        batch, length = padding_mask_shape
        shape = (batch, self.num_layers, self.num_heads, length, length)
        return {f"{direction}_graphs": shape for direction in self.directions}

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "rate": self.rate,
            "directions": self.directions,
        }


def _spread(shape, dtype=None):
    """Returns logarithms of 0.02 to 3, one per head, as they are stored."""
    logs = np.linspace(np.log(0.02), np.log(3.0), shape[1]) / SCALE
    return ops.convert_to_tensor(np.tile(logs, (shape[0], 1)), dtype)
