"""Features gathered along a graph of either form: `G F` and `M H`.

The formulas are those of `equations`; here is how they are computed without
the T x T graphs where that is cheaper.
"""

import functools

import keras
from keras import ops

from glomo_keras.ops import equations
from glomo_keras.ops.equations import mix_graphs
from glomo_keras.ops.equations import mix_heads
from glomo_keras.ops.graphs import graph_length
from glomo_keras.ops.graphs import heads_of
from glomo_keras.ops.graphs import is_factored
from glomo_keras.ops.graphs import layers_and_heads
from glomo_keras.ops.graphs import mask_of
from glomo_keras.ops.graphs import split_layers
from glomo_keras.ops.graphs import without_mask
from glomo_keras.ops.streaming import DIRECT_LIMIT
from glomo_keras.ops.streaming import edge_rows
from glomo_keras.ops.streaming import graph_strips
from glomo_keras.ops.streaming import map_rows
from glomo_keras.ops.streaming import materialize


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


def sums_of_rows(rows, columns, graph, values):
    """Returns rows of `G F` for each F in a list, joined on the last axis.

    Args:
        rows, columns, graph: See `streaming.edge_rows`.
        values: List of tensors `(B, K or 1, S, w)`.

    Returns:
        Float32 tensor `(B, K, R, len(values) * w)`.
    """
    weights, inverse_sums = edge_rows(graph, rows, columns)
    sums = [equations.weighted_sum(weights, x, inverse_sums) for x in values]
    return sums[0] if len(sums) == 1 else ops.concatenate(sums, axis=-1)


def gather_features(graph, features, positions=None):
    """`m_t = sum_s G_ts F_s`, Eq. 2; head k weighs slice k of F.

    Args:
        graph: One layer: `(B, K, T, T)`, `(B, T, T)` or its factors. A graph
            of some rows only, `(B, K, N, T)` or factors with `positions`,
            gives the sums of these.
        features: F, tensor `(B, T, d)`; K divides d.
        positions: Integer tensor `(N,)`, the receivers wanted, negative ones
            counted from the end; `None` for all rows of the graph. Defaults
            to `None`.

    Returns:
        Float32 tensor `(B, T, d)` or `(B, N, d)`.
    """
    if not is_factored(graph) and len(graph.shape) == 3:
        graph = graph[:, None]  # (B, 1, T, T)
    values = split_heads(features, heads_of(graph))
    return join_heads(_rows_wanted(sums_of_rows, graph, values, positions))


def gather_mixed_heads(graph, features, weights, positions=None):
    """`sum_k w_k sum_s G^k_ts F_s`: the heads of one layer, mixed.

    Args:
        graph: One layer, `(B, K, T, T)` or its factors, or some rows of it.
        features: F, tensor `(B, T, d)`.
        weights: Tensor `(K,)`.
        positions: See `gather_features`. Defaults to `None`.

    Returns:
        Float32 tensor `(B, T, d)` or `(B, N, d)`.
    """
    values = features[:, None]  # (B, 1, T, d)
    mixed = _rows_wanted(_mixed_heads, graph, values, positions, weights)
    return mixed[:, 0]  # (B, 1, T, d) -> (B, T, d)


def _rows_wanted(function, graph, values, positions, *others):
    """Applies a row-wise function to some rows, or all, see `map_rows`.

    Args:
        function, graph, others: See `streaming.map_rows`; the graph may have
            some rows only.
        values: Tensor `(B, K or 1, T, d)` of the sources.
        positions: See `gather_features`.
    """
    if keras.backend.standardize_dtype(values.dtype) != "bfloat16":
        values = ops.cast(values, "float32")
    has_some_rows = is_factored(graph) and "positions" in graph
    if positions is None and not has_some_rows:
        return map_rows(function, graph, [values], *others)
    if positions is not None:
        if has_some_rows:
            raise ValueError(
                "`positions` choose rows of a whole graph. Received: "
                "positions, and factors that have `positions` already"
            )
        positions = ops.cast(positions, "int32")
        length = ops.shape(values if is_factored(graph) else graph)[-2]
        positions = ops.where(positions < 0, positions + length, positions)
    return function(positions, None, graph, [values], *others)


def _mixed_heads(rows, columns, graph, values, weights):
    """Returns rows of `M F` for one layer, `(B, 1, R, d)`."""
    edges, inverse_sums = edge_rows(graph, rows, columns)
    if inverse_sums is not None:
        edges = edges * inverse_sums
    mixed = mix_heads(weights[None], edges)  # (B, 1, R, S)
    return equations.weighted_sum(mixed, *values)


def gather_mixture(graph, features, weights, include_products, max_length=None):
    """`M @ H`, without M where that is cheaper.

    Short inputs go through M, whose products cost `(L-1) K T^3`; long ones
    layer by layer, `P^l H = G^l (P^(l-1) H)`, which costs `K T^2 d` a term
    and holds only blocks of a graph's rows.

    Args:
        graph: `(B, L, K, T, T)` or its factors.
        features: H, tensor `(B, T, d)`.
        weights: Tensor `(n, N)`, or `(B, T, n, N)`, one set per receiver.
        include_products: Whether the products of layers are among the terms.
        max_length: Integer, the largest T there will be, or `None` if that is
            not known. It matters where T is dynamic: if all inputs are short,
            nothing is chosen at run time and nothing computed twice. Defaults
            to `None`.

    Returns:
        Float32 tensor `(B, n, T, d)`.
    """
    features = ops.cast(features, "float32")[:, None]  # (B, 1, T, d)
    layers, _ = layers_and_heads(graph)
    size = (layers, features.shape[-1], include_products)
    length, mask = graph_length(graph), mask_of(graph)

    def masked(function, graph, features, weights):
        if mask is not None:
            graph = {**graph, "padding_mask": mask}
        return function(graph, features, weights, include_products)

    through_graph = functools.partial(masked, _through_graph)
    by_layer = functools.partial(masked, _by_layer)
    arguments = (without_mask(graph), features, weights)
    if is_always_short(*size, max_length):
        return through_graph(*arguments)
    short = length <= _longest_mixed(*size)
    if isinstance(length, int):
        return (through_graph if short else by_layer)(*arguments)
    # Recomputed, since TensorFlow cannot match what the two branches would
    # keep for the backward pass.
    return ops.cond(
        short,
        lambda: keras.remat(through_graph)(*arguments),
        lambda: keras.remat(by_layer)(*arguments),
    )


def _through_graph(graph, features, weights, include_products):
    layers, _ = layers_and_heads(graph)
    if not is_factored(graph) or (include_products and layers > 1):
        mixed = mix_graphs(materialize(graph), weights, include_products)
        return ops.matmul(mixed, features)
    sums = []
    for rows, columns, strip in graph_strips(graph):
        shares = weights if len(weights.shape) == 2 else weights[:, rows]
        mixed = mix_graphs(strip, shares, include_products)  # (B, n, R, S)
        sums.append(ops.matmul(mixed, features[:, :, columns]))
    return ops.concatenate(sums, axis=-2)


def _by_layer(graph, features, weights, include_products):
    layers, heads = layers_and_heads(graph)
    shares = _shares_by_layer(weights, heads, include_products)
    mixtures = weights.shape[-2]
    total, values = 0.0, [features]
    for index, layer in enumerate(split_layers(graph)):
        keep_chain = include_products and index < layers - 1
        sums = map_rows(
            functools.partial(_mixed_rows, keep_chain=keep_chain),
            layer,
            values,
            shares[index],
            dynamic_blocks=True,
        )
        total = total + sums[:, :mixtures]
        if keep_chain:
            values = [features, sums[:, mixtures:]]  # H and P^l H
    return total


def _shares_by_layer(weights, num_heads, include_products):
    """The weights `(..., K)` of each layer: of G^l and, from l = 2, of P^l."""
    terms = weights.shape[-1] // num_heads
    parts = ops.split(weights, terms, axis=-1)
    if not include_products:
        return [[part] for part in parts]
    return [parts[:1], *(parts[i : i + 2] for i in range(1, terms, 2))]


def _mixed_rows(rows, columns, graph, values, shares, keep_chain):
    """Returns what one layer adds to some rows of `M @ H`.

    Args:
        rows, columns, graph: See `streaming.edge_rows`.
        values: List of H and, from the second layer on, `P^(l-1) H`.
        shares: List of the weights of G^l and, likewise, of P^l.
        keep_chain: Whether to return `P^l H` too.

    Returns:
        Float32 tensor `(B, n, R, d)`; with the chain `(B, n + K, R, d)`.
    """
    sums = sums_of_rows(rows, columns, graph, values)
    parts = ops.split(sums, len(values), axis=-1)  # each (B, K, R, d)
    mixed = 0.0
    for share, part in zip(shares, parts, strict=True):
        if rows is not None and len(share.shape) == 4:
            share = ops.take(share, rows, axis=1)  # (B, R, n, K)
        mixed = mixed + mix_heads(share, part)
    return ops.concatenate([mixed, parts[-1]], 1) if keep_chain else mixed


def is_always_short(num_layers, width, include_products, max_length):
    """Returns whether inputs of at most `max_length` all go through M."""
    if max_length is None:
        return False
    return max_length <= _longest_mixed(num_layers, width, include_products)


def _longest_mixed(num_layers, width, include_products):
    """Returns the length up to which M is cheaper than layer by layer."""
    if not include_products or num_layers == 1:
        return DIRECT_LIMIT
    balance = (2 * num_layers - 1) * width // (num_layers - 1)
    return min(DIRECT_LIMIT, balance)


def gather_terms(graph, features, include_products=True):
    """`A_n H` for each of the N terms of a mixture.

    A mixture with free weights is linear in its graphs,
    `M H = sum_n w_n (A_n H)`. Where graphs and features are fixed, these
    messages can be kept while the weights are learned: N T d numbers in place
    of L K T^2.

    Args:
        graph: `(B, L, K, T, T)` or its factors.
        features: H, tensor `(B, T, d)`.
        include_products: Whether the products of layers are among the terms.
            Defaults to `True`.

    Returns:
        Float32 tensor `(B, N, T, d)`, in the order of `mixture_terms`.
    """
    features = ops.cast(features, "float32")[:, None]  # (B, 1, T, d)
    values, messages = [features], []
    for layer in split_layers(graph):
        sums = map_rows(sums_of_rows, layer, values, dynamic_blocks=True)
        parts = ops.split(sums, len(values), axis=-1)  # each (B, K, T, d)
        messages += parts
        if include_products:
            values = [features, parts[-1]]
    return ops.concatenate(messages, axis=1)
