import keras
from keras import ops

from glomo_keras.layers import _validation as check
from glomo_keras.ops.edges import DIRECTIONS
from glomo_keras.ops.edges import admissible_edges
from glomo_keras.ops.edges import normalize_rows


@keras.saving.register_keras_serializable(package="glomo_keras")
class UniformGraph(keras.layers.Layer):
    """The graph that knows nothing: all admissible edges alike.

        G_ts = 1 / |A_t|  for s in A_t,  0 otherwise

    with `A_t` the real units before t (forward) or after it (backward), never
    t itself. A row sums to 1, or to 0 where `A_t` is empty: the first unit
    (the last, backward) and padding. The output stands wherever that of a
    `GraphPredictor` with one layer and one head does; what a learned graph
    gains over it is due to its structure.

    Weights and row sums are float32 whatever the dtype policy; the graphs
    have the compute dtype. The layer has no parameters.

    Args:
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        padding_mask: boolean `(B, T)`, True = real unit.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, each
        `(B, 1, 1, T, T)`: rows are receivers, in reading order.

    Raises:
        ValueError: a padding mask that is not of rank 2.

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

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")

    def call(self, padding_mask):
        mask = ops.cast(padding_mask, "bool")
        units = ops.arange(ops.shape(mask)[1])
        graphs = {}
        for direction in DIRECTIONS:
            allowed = admissible_edges(units, units, direction, mask)
            graph = normalize_rows(ops.cast(allowed, "float32"))
            graph = ops.expand_dims(graph, 1)  # (B, 1, 1, T, T)
            graphs[f"{direction}_graphs"] = ops.cast(graph, self.compute_dtype)
        return graphs

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, padding_mask_shape):
        check.check_rank("padding_mask", padding_mask_shape, 2, "(B, T)")
        batch, length = padding_mask_shape
        shape = (batch, 1, 1, length, length)
        return {f"{direction}_graphs": shape for direction in DIRECTIONS}
