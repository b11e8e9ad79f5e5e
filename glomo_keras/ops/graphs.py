"""The two forms of a graph, and functions that take either.

*Materialised*: a tensor `(B, L, K, T, T)`; rows are receivers.

*Factored*: a dict, linear in T, from which Eq. 1 makes that tensor:

| entry | shape | |
|---|---|---|
| `queries` | `(B, L, K, T, C)` | of the receivers |
| `thresholds` | `(B, L, K, T)` | of the receivers |
| `past_keys` or `future_keys` | `(B, L, K, T, C)` | of the sources |
| `padding_mask` | `(B, T)` | optional; True = real position |
| `positions` | `(N,)` | optional, one layer only: see below |

The name of the keys is the direction: a forward graph has `past_keys`, a
backward graph `future_keys`. It is part of the dict's structure, so it is
known when a model is traced, is saved with it, and cannot be contradicted by
whoever reads the graph. For the same reason the factored form means the
squared ReLU: the ablations of Eq. 1 exist as tensors only.

One layer of a graph lacks the axis L. One whose queries and thresholds exist
for some receivers only has these as `positions`.
"""

from keras import ops

from glomo_keras.utils import validation as check

DIRECTIONS = ("forward", "backward")
GRAPHS = tuple(f"{direction}_graphs" for direction in DIRECTIONS)
KEYS = {"forward": "past_keys", "backward": "future_keys"}


def is_factored(graph):
    """Returns whether a graph (or its shape) has the factored form."""
    return isinstance(graph, dict)


def direction_of(graph):
    """Returns the direction of a factored graph, from the name of its keys."""
    given = [d for d in DIRECTIONS if KEYS[d] in graph]
    if len(given) != 1:
        raise ValueError(
            "A factored graph has either 'past_keys' (forward) or "
            "'future_keys' (backward). Received: a dict with the entries "
            f"{sorted(graph)}"
        )
    return given[0]


def keys_of(graph):
    """Returns the keys of a factored graph, `(B, [L,] K, T, C)`."""
    return graph[KEYS[direction_of(graph)]]


def factor_names(graph):
    """Returns the names of the floating-point entries of a factored graph."""
    return ("queries", KEYS[direction_of(graph)], "thresholds")


def graph_shape(shapes):
    """Returns the materialised shape of a graph of either form.

    Args:
        shapes: Shape tuple, or dict of shape tuples.

    Returns:
        `(B, L, K, T, T)`, or `(B, K, T, T)` for one layer.

    Raises:
        ValueError: If a factor is missing or factors disagree.
    """
    if not is_factored(shapes):
        return tuple(shapes)
    missing = {"queries", "thresholds"} - set(shapes)
    if missing:
        raise ValueError(
            "A factored graph is a dict with 'queries', 'thresholds' and "
            "'past_keys' or 'future_keys' (and optionally 'padding_mask'). "
            f"Received: a dict with the entries {sorted(shapes)}"
        )
    queries, keys, thresholds = (
        tuple(shapes[name]) for name in factor_names(shapes)
    )
    if len(queries) != len(keys) or len(thresholds) != len(queries) - 1:
        raise ValueError(
            "Queries and keys must have the same rank and thresholds one axis "
            f"less. Received: queries.shape={queries}, keys.shape={keys}, "
            f"thresholds.shape={thresholds}"
        )
    return (*queries[:-1], keys[-2])


def checked_graph_shape(name, shapes, ranks, meaning):
    """Returns `graph_shape`, or raises unless its rank is one of `ranks`.

    Args:
        name: The call argument, for the message.
        shapes: Shape tuple, or dict of shape tuples.
        ranks: Tuple of the ranks allowed.
        meaning: The expected shape, for the message.
    """
    shape = graph_shape(shapes)
    if len(shape) not in ranks:
        raise ValueError(
            f"`{name}` must have shape {meaning}, or be the dict of its "
            f"factors. Received: {name}.shape={shape}"
        )
    if None in shape[1:-2]:
        raise ValueError(
            f"`{name}` must have shape {meaning} with known numbers of layers "
            f"and heads. Received: {name}.shape={shape}"
        )
    return shape


def check_square(name, shape):
    """Raises ValueError unless a graph has as many rows as columns."""
    check.check_same_length(
        **{f"the rows of {name}": shape[-2], "its columns": shape[-1]}
    )


def checked_directions(graphs, kind="graphs", built=None):
    """Returns the directions in a dict of graphs (or messages).

    Args:
        graphs: Dict with `forward_{kind}`, `backward_{kind}` or both.
        kind: String, the second half of the names. Defaults to `"graphs"`.
        built: List of the directions that a layer was built with. Defaults
            to `None`, any.

    Raises:
        ValueError: If it is another dict or has other directions, or if a
            factored graph has the other direction's name.
    """
    names = {f"{direction}_{kind}": direction for direction in DIRECTIONS}
    if not isinstance(graphs, dict) or not graphs or set(graphs) - set(names):
        given = sorted(graphs) if isinstance(graphs, dict) else type(graphs)
        raise ValueError(
            f"`{kind}` must be a dict with 'forward_{kind}', "
            f"'backward_{kind}' or both. Received: {given}"
        )
    for name, graph in graphs.items():
        if is_factored(graph) and direction_of(graph) != names[name]:
            raise ValueError(
                f"{name!r} must be a {names[name]} graph, whose keys are "
                f"named {KEYS[names[name]]!r}. Received: a dict with the "
                f"entries {sorted(graph)}"
            )
    directions = [names[name] for name in names if name in graphs]
    if built is not None and directions != list(built):
        raise ValueError(
            f"`{kind}` must have the directions that the layer was built "
            f"with, {list(built)}. Received: {sorted(graphs)}"
        )
    return directions


def check_transfer_shapes(features_shape, graphs_shape, built=None):
    """Returns the shape of each direction's graph, or raises.

    Args:
        features_shape: `(B, T, d)`.
        graphs_shape: Dict of shapes of graphs of either form, with the axis
            L.
        built: See `checked_directions`.

    Returns:
        Dict of `(B, L, K, T, T)` by direction.
    """
    check.check_rank("features", features_shape, 3, "(B, T, d)")
    shapes = {}
    for direction in checked_directions(graphs_shape, built=built):
        name = f"{direction}_graphs"
        shape = checked_graph_shape(
            name, graphs_shape[name], (5,), "(B, L, K, T, T)"
        )
        check_square(name, shape)
        check.check_same_length(features=features_shape[1], graph=shape[-1])
        shapes[direction] = shape
    return shapes


def layers_and_heads(graph):
    """Returns `(L, K)` of a graph that has the axis L."""
    tensor = keys_of(graph) if is_factored(graph) else graph
    return tensor.shape[1], tensor.shape[2]


def check_same_heads(found, built):
    """Raises ValueError unless `(L, K)` are those a layer was built with."""
    if found != built:
        raise ValueError(
            "`graphs` must have the layers L and heads K that the layer was "
            f"built with, L={built[0]}, K={built[1]}. "
            f"Received: graphs of L={found[0]}, K={found[1]}"
        )


def heads_of(graph):
    """Returns K of a graph of one layer."""
    return (graph["queries"] if is_factored(graph) else graph).shape[1]


def graph_length(graph):
    """Returns T, an integer where it is static, else a scalar tensor."""
    if is_factored(graph):
        return ops.shape(keys_of(graph))[-2]
    return ops.shape(graph)[-1]


def split_layers(graph):
    """Splits a graph into its layers, each of the form that the graph has.

    Each factor is unstacked once: the gradient of L slices would fill and add
    L arrays of the size of all layers.

    Args:
        graph: Materialised or factored graph with the axis L.

    Returns:
        List of L graphs without the axis L.
    """

    def unstack(x):
        return ops.unstack(ops.convert_to_tensor(x), axis=1)

    if not is_factored(graph):
        return unstack(graph)
    names = factor_names(graph)
    factors = [unstack(graph[name]) for name in names]
    return [
        {**dict(zip(names, layer, strict=True)), **_mask_entry(graph)}
        for layer in zip(*factors, strict=True)
    ]


def join_layers(layers):
    """Stacks factored graphs of one layer each: undoes `split_layers`."""
    factors = {
        name: ops.stack([layer[name] for layer in layers], axis=1)
        for name in factor_names(layers[0])
    }
    return {**factors, **_mask_entry(layers[0])}


def without_mask(graph):
    """Returns the graph without its mask: all that can have a gradient."""
    if not is_factored(graph):
        return graph
    return {name: graph[name] for name in factor_names(graph)}


def mask_of(graph):
    """Returns the padding mask of a factored graph, or None."""
    return graph.get("padding_mask") if is_factored(graph) else None


def _mask_entry(graph):
    return {k: v for k, v in graph.items() if k == "padding_mask"}
