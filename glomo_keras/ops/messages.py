"""What every graph of a mixture brings by itself: `A_n H` for all n.

A mixture with free weights is linear in its graphs: `M H = sum_n w_n (A_n H)`.
Where neither the graphs nor the features H are trained, the messages `A_n H`
stay what they are while the weights are learned, and are small: N T d numbers
in place of L K T^2.
"""

import functools

from keras import ops

from glomo_keras.ops.graphs import combined_mask
from glomo_keras.ops.graphs import float_factors
from glomo_keras.ops.graphs import num_units
from glomo_keras.ops.graphs import split_layers
from glomo_keras.ops.graphs import take_columns
from glomo_keras.ops.row_blocks import map_row_blocks
from glomo_keras.ops.weighted_sum import sum_over_edges


def term_messages(
    graph,
    features,
    include_products,
    *,
    padding_mask=None,
    direction="forward",
    activation="squared_relu",
):
    """`A_n H` for the N terms of a mixture, see `ops.mixture`.

    The products are applied layer after layer, `P^l H = G^l (P^(l-1) H)`, and
    long inputs go by blocks of rows: no more than blocks of one layer's edges
    are held.

    Args:
        graph: `(B, L, K, T, T)` or its factors.
        features: H, tensor `(B, T, d)`.
        include_products: boolean, whether the products of layers take part.
        padding_mask: boolean `(B, T)`, True = real unit; for factors.
        direction: `"forward"` or `"backward"`; for factors.
        activation: see `edge_weights`; for factors.

    Returns:
        Float32 tensor `(B, N, T, d)`, terms in the order of `ops.mixture`.
    """
    features = ops.expand_dims(ops.cast(features, "float32"), 1)
    rows_of_sums = functools.partial(
        _sums,
        padding_mask=combined_mask(graph, padding_mask),
        direction=direction,
        activation=activation,
    )
    values, messages = [features], []
    for one in split_layers(graph):
        sums = map_row_blocks(
            rows_of_sums,
            (float_factors(one), values),
            num_units(one),
            direction,
            _take_columns,
            dynamic_blocks=True,
        )
        parts = ops.split(sums, len(values), axis=-1)  # (B, K, T, d)
        messages += parts
        if include_products:
            values = [features, parts[-1]]
    return ops.concatenate(messages, axis=1)  # (B, N, T, d)


def _sums(rows, columns, graph, values, **options):
    return sum_over_edges(rows, columns, graph, *values, **options)


def _take_columns(columns, graph, values):
    values = [value[..., columns, :] for value in values]
    return take_columns(graph, columns), values
