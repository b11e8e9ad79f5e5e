"""Converts arrays of edges to graphs of other libraries.

`pandas.DataFrame(edges)` makes a table and needs no function.
"""

import numpy as np

from glomo_keras.analysis.edges import as_columns
from glomo_keras.ops.graphs import DIRECTIONS

KEY = ("direction", "layer", "head")


def to_networkx(edges, tokens):
    """Makes a networkx graph of the edges of one text.

    Its nodes are all positions, from 0, with the attribute `token`. Its edges
    lead from source to receiver, have the attribute `weight` and the key
    `(direction, layer, head)`.

    Args:
        edges: dict of arrays, see `graph_edges`, or a DataFrame of them, of
            one example.
        tokens: sequence of T strings.

    Returns:
        `networkx.MultiDiGraph`.

    Raises:
        ImportError: If networkx is not installed.
        ValueError: If there are edges of several examples, or between
            positions that have no token.

    Example:

    >>> from glomo_keras.analysis import graph_edges
    >>> edges = graph_edges(np.eye(3, k=-1)[None, None, None])
    >>> graph = to_networkx(edges, ["the", "cat", "sat"])
    >>> list(graph.edges(keys=True, data="weight"))
    ... # doctest: +NORMALIZE_WHITESPACE
    [(0, 1, ('forward', 0, 0), 1.0), (1, 2, ('forward', 0, 0), 1.0)]
    """
    import networkx

    edges = as_columns(edges)
    examples = np.unique(edges["example"])
    if len(examples) > 1:
        raise ValueError(
            "A networkx graph is of one text: keep the edges of one, as in "
            "`table[table.example == 0]` of a DataFrame. "
            f"Received: edges of {len(examples)} examples"
        )
    _check_positions(edges, [len(tokens)] * (int(examples.max(initial=0)) + 1))
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(
        (position, {"token": token}) for position, token in enumerate(tokens)
    )
    keys = zip(*(edges[name].tolist() for name in KEY), strict=True)
    ends = (edges[name].tolist() for name in ("source", "receiver"))
    weights = ({"weight": weight} for weight in edges["weight"].tolist())
    graph.add_edges_from(zip(*ends, keys, weights, strict=True))
    return graph


def to_pytorch_geometric(edges, lengths):
    """Makes PyTorch Geometric's `Data` of the edges of each text.

    Args:
        edges: dict of arrays, see `graph_edges`, or a DataFrame of them.
        lengths: sequence of B integers, the positions of each text: the
            number of its nodes.

    Returns:
        List of B `torch_geometric.data.Data` with `edge_index` int64
        `(2, E)`, sources and receivers, `edge_weight` `(E,)` of the dtype of
        the weights (float32 for bfloat16), and `layer`, `head` and
        `direction` `(E,)`, from 0; of directions forward is 0, backward 1 and
        both 2.

    Raises:
        ImportError: If torch or torch_geometric is not installed.
        ValueError: If there are edges of an example without a length, or
            between positions beyond it.
    """
    import torch
    from torch_geometric.data import Data

    edges = as_columns(edges)
    _check_positions(edges, lengths)
    columns = {
        "edge_index": np.stack([edges["source"], edges["receiver"]], axis=1),
        "edge_weight": _torch_readable(edges["weight"]),
        "layer": edges["layer"],
        "head": edges["head"],
        "direction": _direction_numbers(edges["direction"]),
    }
    order = np.argsort(edges["example"], kind="stable")
    starts = np.searchsorted(
        edges["example"][order], np.arange(len(lengths)), side="left"
    )
    data = []
    parts = np.split(order, starts)[1:]  # nothing is before the first text
    for length, places in zip(lengths, parts, strict=True):
        tensors = {
            name: torch.from_numpy(values[places])
            for name, values in columns.items()
        }
        index = tensors.pop("edge_index").long().T.contiguous()  # (2, E)
        data.append(Data(edge_index=index, num_nodes=int(length), **tensors))
    return data


def _torch_readable(weights):
    """Weights in a dtype that torch reads from numpy: bfloat16 is none."""
    return weights.astype("float32") if weights.dtype.kind == "V" else weights


def _direction_numbers(directions):
    numbers = np.full(len(directions), len(DIRECTIONS))
    for number, direction in enumerate(DIRECTIONS):
        numbers[directions == direction] = number
    return numbers


def _check_positions(edges, lengths):
    """Raises ValueError if an edge is of no text, or beyond its end."""
    if not len(edges["example"]):
        return
    if edges["example"].max() >= len(lengths):
        raise ValueError(
            "`lengths` must have a number for each example. Received: "
            f"{len(lengths)} lengths, example {edges['example'].max()}"
        )
    lengths = np.asarray(lengths)[edges["example"]]
    positions = np.maximum(edges["source"], edges["receiver"])
    worst = np.argmax(positions - lengths)
    if positions[worst] >= lengths[worst]:
        raise ValueError(
            "An edge must not lead beyond the end of its text. Received: "
            f"position {positions[worst]} in a text of {lengths[worst]}"
        )
