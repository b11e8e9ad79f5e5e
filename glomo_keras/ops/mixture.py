"""Sec. 2.2 of the paper: graphs of all layers and heads mixed into one.

`M = sum_n w_n A_n` over the N terms G^1, G^2, L^2, G^3, L^3, ..., each with
its heads, where `L^l = G^l @ ... @ G^1` (head k with head k) is the product
of the first l layers. L^1 = G^1 is not listed twice: N = (2L - 1) K, or L K
without products.
"""

import functools

import keras
from keras import ops

from glomo_keras.ops.graphs import combined_mask
from glomo_keras.ops.graphs import float_factors
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.graphs import layers_and_heads
from glomo_keras.ops.graphs import materialize
from glomo_keras.ops.graphs import num_units
from glomo_keras.ops.graphs import row_groups
from glomo_keras.ops.graphs import split_layers
from glomo_keras.ops.graphs import take_columns
from glomo_keras.ops.graphs import take_units
from glomo_keras.ops.row_blocks import DIRECT_LIMIT
from glomo_keras.ops.row_blocks import map_row_blocks
from glomo_keras.ops.weighted_sum import sum_over_edges


def num_terms(num_layers, num_heads, include_products):
    """N, the number of graphs in a mixture."""
    layers = 2 * num_layers - 1 if include_products else num_layers
    return layers * num_heads


def split_terms(weights, num_layers, num_heads, include_products):
    """Mixture weights by layer.

    Args:
        weights: tensor `(..., N)`.
        num_layers: L.
        num_heads: K.
        include_products: whether N counts the products.

    Returns:
        List of L lists of tensors `(..., K)`: for the graph and, from the
        second layer on and with products, for the product.
    """
    count = num_terms(num_layers, num_heads, include_products) // num_heads
    parts = ops.split(weights, count, axis=-1)
    if not include_products:
        return [[part] for part in parts]
    later = zip(parts[1::2], parts[2::2], strict=True)
    return [parts[:1], *map(list, later)]


def mix_graphs(graph, weights, include_products, **options):
    """The mixed graphs M.

    Args:
        graph: `(B, L, K, T, T)` or its factors.
        weights: `(n, N)`, or `(B, T, n, N)`, one set per receiver.
        include_products: whether the products of layers take part.
        **options: `padding_mask`, `direction`, `activation`, for factors.

    Returns:
        Float32 tensor `(B, n, T, T)`.
    """
    graph = materialize(graph, **options)
    return _mix_materialized(graph, weights, include_products)


def _mix_materialized(graph, weights, include_products):
    layers, heads = graph.shape[1:3]
    terms = split_terms(weights, layers, heads, include_products)
    mixed, product = 0.0, None
    for layer, (current, shares) in enumerate(
        zip(split_layers(graph), terms, strict=True)
    ):
        mixed = mixed + _mix_heads(shares[0], current)
        if include_products:
            product = current if layer == 0 else ops.matmul(current, product)
        if len(shares) == 2:
            mixed = mixed + _mix_heads(shares[1], product)
    return mixed


def _mix_heads(weights, graph):
    """`_sum_heads` of a graph, for several mixtures by one product.

    Not for what the heads bring to features: in a row of one edge, whose
    gradient is 0, it would leave twice as much rounding.
    """
    if len(weights.shape) == 4 and weights.shape[2] > 1:
        return ops.einsum("btnk,bktx->bntx", weights, graph)
    return _sum_heads(weights, graph)


def _sum_heads(weights, values):
    """`(n, K)` or `(B, T, n, K)` with `(B, K, T, X)` -> `(B, n, T, X)`."""
    if len(weights.shape) == 2:
        # An einsum would move K to the end, a pass over all of the graphs.
        batch, heads, units, width = ops.shape(values)
        values = ops.reshape(values, (batch, heads, units * width))
        mixed = ops.matmul(ops.expand_dims(weights, 0), values)
        return ops.reshape(mixed, (batch, weights.shape[0], units, width))
    # Sums of K arrays: an einsum would lay the values out anew.
    shares = ops.expand_dims(ops.transpose(weights, (0, 2, 3, 1)), -1)
    return ops.sum(ops.expand_dims(values, 1) * shares, axis=2)


def apply_mixture(
    graph, features, weights, include_products, max_length=None, **options
):
    """`M @ H` without M: what a task draws from its neighbours.

    Short inputs go through M, whose products cost `(L-1) K T^3`; long ones
    layer by layer, `L^l H = G^l (L^(l-1) H)`, which costs `K T^2 d` a term
    and keeps only blocks of rows of a graph.

    Args:
        graph: `(B, L, K, T, T)` or its factors.
        features: H, tensor `(B, T, d)`.
        weights: `(n, N)`, or `(B, T, n, N)`, one set per receiver.
        include_products: whether the products of layers take part.
        max_length: int or None, what T is at most where it is dynamic. If
            short inputs are all there is, nothing is chosen at run time and
            nothing computed twice.
        **options: `padding_mask`, `direction`, `activation`, for factors.

    Returns:
        Float32 tensor `(B, n, T, d)`.
    """
    features = ops.expand_dims(ops.cast(features, "float32"), 1)
    options["padding_mask"] = combined_mask(graph, options.get("padding_mask"))
    arguments = (float_factors(graph), features, weights)
    length = num_units(graph)
    layers, _ = layers_and_heads(graph)
    width = features.shape[-1]
    limit = _longest_mixed(layers, width, include_products)
    through_graph, by_layer = (
        functools.partial(
            function, include_products=include_products, **options
        )
        for function in (_apply_through_graph, _apply_by_layer)
    )
    if is_always_short(layers, width, include_products, max_length):
        return through_graph(*arguments)
    if isinstance(length, int):
        return (through_graph if length <= limit else by_layer)(*arguments)
    # Recomputed, since TensorFlow cannot match what the two branches would
    # keep for the backward pass.
    return ops.cond(
        length <= limit,
        lambda: keras.remat(through_graph)(*arguments),
        lambda: keras.remat(by_layer)(*arguments),
    )


def _apply_through_graph(graph, features, weights, include_products, **options):
    layers, _ = layers_and_heads(graph)
    if (include_products and layers > 1) or not is_factored(graph):
        mixed = mix_graphs(graph, weights, include_products, **options)
        return ops.matmul(mixed, features)
    outputs = []
    for rows, columns, group in row_groups(graph, **options):
        shares = weights if len(weights.shape) == 2 else weights[:, rows]
        mixed = _mix_materialized(group, shares, include_products)
        outputs.append(ops.matmul(mixed, features[:, :, columns]))
    return ops.concatenate(outputs, axis=-2)


def is_always_short(num_layers, width, include_products, max_length):
    """Whether inputs of at most `max_length` units all go through M."""
    if max_length is None:
        return False
    return max_length <= _longest_mixed(num_layers, width, include_products)


def _longest_mixed(num_layers, width, include_products):
    """The length up to which M is cheaper than the layers one by one."""
    if not include_products or num_layers == 1:
        return DIRECT_LIMIT
    balance = (2 * num_layers - 1) * width // (num_layers - 1)
    return min(DIRECT_LIMIT, balance)


def _apply_by_layer(graph, features, weights, *, include_products, **options):
    layers, heads = layers_and_heads(graph)
    terms = split_terms(weights, layers, heads, include_products)
    total, values = 0.0, [features]
    graphs = split_layers(graph)
    for layer, shares in enumerate(terms):
        keep_chain = include_products and layer < layers - 1
        outputs = map_row_blocks(
            functools.partial(_mixed_rows, keep_chain=keep_chain, **options),
            (graphs[layer], values, shares),
            num_units(graph),
            options["direction"],
            _take_columns,
            dynamic_blocks=True,
        )
        mixtures = weights.shape[-2]
        total = total + outputs[:, :mixtures]
        if keep_chain:
            values = [features, outputs[:, mixtures:]]  # (B, K, T, d)
    return total


def _take_columns(columns, graph, values, shares):
    values = [value[..., columns, :] for value in values]
    return take_columns(graph, columns), values, shares


def _mixed_rows(rows, columns, graph, values, shares, *, keep_chain, **options):
    """What one layer adds to some rows of `M @ H`.

    Args:
        rows, columns, graph: see `graph_rows`.
        values: list of H and, from the second layer on, `P^(l-1) H`.
        shares: mixture weights of `G^l` and, likewise, of `P^l`.
        keep_chain: whether to return `P^l H` as well.
        **options: `padding_mask`, `direction`, `activation`.

    Returns:
        Float32 tensor `(B, n, R, d)`; with the chain `(B, n + K, R, d)`.
    """
    sums = sum_over_edges(rows, columns, graph, *values, **options)
    parts = ops.split(sums, len(values), axis=-1)  # (B, K, R, d)
    mixed = 0.0
    for share, part in zip(shares, parts, strict=True):
        if len(share.shape) == 4:
            share = take_units(share, rows, 1)
        mixed = mixed + _sum_heads(share, part)
    return ops.concatenate([mixed, parts[-1]], 1) if keep_chain else mixed
