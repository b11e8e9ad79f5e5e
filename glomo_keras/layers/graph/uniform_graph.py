import keras
from keras import ops

from glomo_keras.ops.equations import admissible_edges
from glomo_keras.ops.equations import normalize_rows
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import validation as check

EDGES = ("one_sided", "all")


@keras.saving.register_keras_serializable(package="glomo_keras")
class UniformGraph(keras.layers.Layer):
    """Makes graphs in which all admissible edges have the same weight.

        G_ts = 1 / |A_t|  for s in A_t,  0 otherwise

    with `A_t` the real positions before t (forward) or after it (backward),
    never t itself. A row sums to 1, or to 0 where `A_t` is empty: at the first
    position (backward: the last) and in the padding. The graphs can take the
    place of those of a `GraphPredictor` with one layer and one head; what a
    learned graph gains over them is due to its structure.

    With `edges="all"` there is one graph in place of the two directions, and
    `A_t` is all real positions, t included: every position gets the mean of
    its text, the "uniform graph" of the released code (which divides by the
    padded length; without padding the numbers are the same).

    Weights and row sums are float32 whatever the dtype policy; the graphs
    have the compute dtype. The layer has no weights.

    Args:
        edges: `"one_sided"` or `"all"`. Defaults to `"one_sided"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        padding_mask: Boolean `(B, T)`, True = real position.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, each
        `(B, 1, 1, T, T)`: rows are receivers, in reading order. With
        `edges="all"` there are only `forward_graphs`, which look both ways.

    Raises:
        ValueError: If `edges` is unknown, or the padding mask is not of
            rank 2.

    Example:

    >>> import numpy as np, keras, glomo_keras as gk
    >>> graphs = gk.layers.UniformGraph()(np.array([[True, True, True]]))
    >>> keras.ops.convert_to_numpy(graphs["forward_graphs"])[0, 0, 0]
    array([[0. , 0. , 0. ],
           [1. , 0. , 0. ],
           [0.5, 0.5, 0. ]], dtype=float32)

    Reference:
        Yang et al. 2018, Sec. 3.2, the ablation "uniform graph".
    """

    def __init__(self, edges="one_sided", **kwargs):
        super().__init__(**kwargs)
        check.check_option("edges", edges, EDGES)
        self.edges = edges
        self.supports_masking = True

    def build(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")

    def call(self, padding_mask):
        mask = ops.cast(padding_mask, "bool")
        return {
            f"{direction}_graphs": self._graph(mask, direction)
            for direction in self._directions()
        }

    def _directions(self):
        return DIRECTIONS if self.edges == "one_sided" else DIRECTIONS[:1]

    def _graph(self, mask, direction):
        if self.edges == "one_sided":
            positions = ops.arange(ops.shape(mask)[1], dtype="int32")
            allowed = admissible_edges(positions, positions, direction, mask)
        else:
            real = ops.expand_dims(mask, 1)  # (B, 1, T)
            allowed = ops.logical_and(ops.expand_dims(mask, 2), real)
            allowed = ops.expand_dims(allowed, 1)  # (B, 1, T, T)
        graph = normalize_rows(ops.cast(allowed, "float32"))  # (B, 1, T, T)
        graph = ops.expand_dims(graph, 1)  # (B, 1, 1, T, T)
        return ops.cast(graph, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")
        batch, length = padding_mask_shape
        shape = (batch, 1, 1, length, length)
        return {f"{name}_graphs": shape for name in self._directions()}

    def get_config(self):
        return {**super().get_config(), "edges": self.edges}
