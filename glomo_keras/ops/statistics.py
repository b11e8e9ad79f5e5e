"""Statistics of how sparse graphs are during training."""

from keras import ops

from glomo_keras.ops.equations import admissible_edges
from glomo_keras.ops.equations import edge_weights
from glomo_keras.ops.equations import matmul_to_float32
from glomo_keras.ops.graphs import direction_of
from glomo_keras.ops.graphs import factor_names

NUM_POSITIONS = 512
MARGIN = 0.1  # the score from which a row counts as filled


def edge_statistics(weights, admissible):
    """Returns the density and the share of empty rows of edge weights.

    Args:
        weights: Tensor `(..., R, S)`, 0 where there is no edge.
        admissible: Boolean tensor that broadcasts to it.

    Returns:
        Two float32 scalars: the share of the admissible edges that are not
        zero; the share of rows without an edge among those that could have
        one. Both are 0 where nothing is admissible.
    """
    edges = ops.cast(weights > 0, "float32")
    possible = ops.cast(admissible, "float32") * ops.ones_like(edges)
    density = ops.divide_no_nan(ops.sum(edges), ops.sum(possible))
    filled = ops.sum(ops.max(edges, axis=-1))
    fillable = ops.sum(ops.max(possible, axis=-1))
    return density, ops.divide_no_nan(fillable - filled, fillable)


def layer_statistics(factors, activation="squared_relu"):
    """Returns `edge_statistics` of the batch's first sequence, one layer.

    Only its first 512 rows and columns are looked at. No gradient passes.

    Args:
        factors: Factored graph of one layer, with or without `positions`.
        activation: See `equations.squared_relu_graph`. Defaults to
            `"squared_relu"`.
    """
    *tensors, admissible = _first_sequence(factors)
    tensors = [ops.stop_gradient(x) for x in tensors]
    weights = edge_weights(*tensors, admissible, activation)
    return edge_statistics(weights, admissible)


def row_shortfall(factors):
    """Returns by how much empty rows miss an edge, of the first sequence.

    A head whose rows are all empty has no gradient from the graph; this mean
    over rows of `relu(0.1 - max_s (q_t . k_s - threshold_t))` gives it
    one. Rows that can have no edge do not count.

    Args:
        factors: Factored graph of one layer, with or without `positions`.
    """
    queries, keys, thresholds, admissible = _first_sequence(factors)
    scores = matmul_to_float32(queries, ops.swapaxes(keys, -1, -2))
    scores = scores - ops.cast(thresholds[..., None], "float32")  # (1, K, R, S)
    best = ops.max(ops.where(admissible, scores, -1e9), axis=-1)  # (1, K, R)
    fillable = ops.cast(ops.any(admissible, axis=-1), "float32")
    fillable = fillable * ops.ones_like(best)
    missing = ops.sum(fillable * ops.relu(MARGIN - best))
    return ops.divide_no_nan(missing, ops.sum(fillable))


def _first_sequence(factors):
    """Returns queries, keys, thresholds and admissible edges of sequence 0."""
    queries, keys, thresholds = (
        factors[name][:1, :, :NUM_POSITIONS] for name in factor_names(factors)
    )
    columns = ops.arange(ops.shape(keys)[2], dtype="int32")
    rows, mask = columns, factors.get("padding_mask")
    if "positions" in factors:
        rows = factors["positions"][:NUM_POSITIONS]
    admissible = admissible_edges(
        rows,
        columns,
        direction_of(factors),
        None if mask is None else mask[:1],
    )
    return queries, keys, thresholds, admissible
