"""Eq. 2 of the paper, the sum: features gathered along the edges of a graph."""

import functools

import keras
from keras import ops

from glomo_keras.ops.edges import matmul_to_float32
from glomo_keras.ops.graphs import combined_mask
from glomo_keras.ops.graphs import float_factors
from glomo_keras.ops.graphs import graph_rows
from glomo_keras.ops.graphs import num_units
from glomo_keras.ops.graphs import take_columns
from glomo_keras.ops.row_blocks import map_row_blocks


def split_heads(features, num_heads):
    """`(B, T, K * w)` -> `(B, K, T, w)`: head k gets slice k."""
    batch, length = ops.shape(features)[:2]
    width = features.shape[-1] // num_heads
    parts = ops.reshape(features, (batch, length, num_heads, width))
    return ops.transpose(parts, (0, 2, 1, 3))  # (B, K, T, w)


def join_heads(parts):
    """`(B, K, T, w)` -> `(B, T, K * w)`."""
    batch, heads, length, width = ops.shape(parts)
    parts = ops.transpose(parts, (0, 2, 1, 3))  # (B, T, K, w)
    return ops.reshape(parts, (batch, length, heads * width))


def sum_over_edges(rows, columns, graph, *values, **options):
    """Some rows of `graph @ value`, normalised after the product.

    Args:
        rows, columns, graph: see `graph_rows`.
        *values: float32 or bfloat16 tensors `(B, K or 1, S, w)`.
        **options: `padding_mask`, `direction`, `activation` of `graph_rows`.

    Returns:
        Float32 tensor `(B, K, R, w)`; with several values, their sums side
        by side on the last axis.
    """
    weights, sums = graph_rows(graph, rows, columns, **options)
    totals = [
        matmul_to_float32(ops.cast(weights, value.dtype), value)
        for value in values
    ]
    total = totals[0] if len(totals) == 1 else ops.concatenate(totals, axis=-1)
    return total if sums is None else ops.divide_no_nan(total, sums)


def weighted_sum(
    graph,
    features,
    *,
    positions=None,
    padding_mask=None,
    direction="forward",
    activation="squared_relu",
):
    """`m_t = sum_s G_ts F_s`; with K heads, head k weighs slice k of F.

    Args:
        graph: one layer, `(B, K, T, T)` or `(B, T, T)` or its factors.
        features: tensor `(B, T, d)`; K divides d.
        positions: integer tensor `(N,)`, the receivers wanted; all if None.
        padding_mask: boolean `(B, T)`, True = real; factored form.
        direction: `"forward"` or `"backward"`; factored form.
        activation: see `edge_weights`; factored form.

    Returns:
        Float32 tensor `(B, T, d)`, or `(B, N, d)` with positions.
    """
    if not isinstance(graph, dict) and len(graph.shape) == 3:
        graph = ops.expand_dims(graph, 1)  # (B, 1, T, T)
    heads = (graph["keys"] if isinstance(graph, dict) else graph).shape[1]
    values = split_heads(features, heads)
    if keras.backend.standardize_dtype(values.dtype) != "bfloat16":
        values = ops.cast(values, "float32")
    rows_of_sum = functools.partial(
        sum_over_edges,
        padding_mask=combined_mask(graph, padding_mask),
        direction=direction,
        activation=activation,
    )
    if isinstance(graph, dict) and "positions" in graph:
        positions = graph["positions"]
    if positions is not None:
        positions = ops.cast(positions, "int32")
        return join_heads(rows_of_sum(positions, None, graph, values))
    total = map_row_blocks(
        rows_of_sum,
        (float_factors(graph), values),
        num_units(graph),
        direction,
        _take_columns,
    )
    return join_heads(total)


def _take_columns(columns, graph, values):
    return take_columns(graph, columns), values[..., columns, :]
