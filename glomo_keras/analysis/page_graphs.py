"""Checks the graphs of one example, and packs them as bytes for a page."""

import base64
import dataclasses
import zlib

import numpy as np
from keras import ops

from glomo_keras.ops import graphs as forms
from glomo_keras.ops.streaming import materialize
from glomo_keras.utils.graph_arrays import checked_graphs
from glomo_keras.utils.graph_arrays import checked_mask

MAX_POSITIONS = 4096
"""Longer texts and larger images are refused."""
FINE_ENTRIES = 500_000
"""Graphs with more entries than this have weights of 8 bits, not of 16."""


@dataclasses.dataclass
class Example:
    """The graphs of one text or image, padding included.

    Attributes:
        graphs: dict of direction to graph of either form, with B = 1.
        shape: `(L, K, T)`.
        kept: int array, the real positions.
    """

    graphs: dict
    shape: tuple
    kept: np.ndarray

    def layers(self, direction):
        """Yields the layers of one direction, float64 `(K, T', T')`.

        T' is the number of real positions.

        Raises:
            ValueError: If an entry is negative or not finite, or an edge
                leads from or to padding.
        """
        name = f"{direction}_graphs"
        for layer in forms.split_layers(self.graphs[direction]):
            graph = ops.convert_to_numpy(materialize(layer))[0]  # (K, T, T)
            graph = checked_graphs(graph, 3, name)
            real = graph[:, self.kept][:, :, self.kept]
            if np.count_nonzero(real) != np.count_nonzero(graph):
                raise ValueError(
                    f"`{name}` must have no edge from or to padding. Received: "
                    f"{len(self.kept)} real positions of {self.shape[2]}, and "
                    "edges outside them"
                )
            yield real


def read_example(graphs, padding_mask, example):
    """Takes one example out of a batch of graphs.

    Args:
        graphs: dict of `forward_graphs`, `backward_graphs` or both, each
            `(B, L, K, T, T)` or the dict of its factors.
        padding_mask: boolean `(B, T)`, or None: that of the factors, if they
            have one.
        example: int, which one of the batch.

    Returns:
        An `Example`.

    Raises:
        ValueError: If an argument is not of this form.
    """
    directions = forms.checked_directions(graphs)
    chosen, shapes = {}, set()
    for direction in directions:
        name = f"{direction}_graphs"
        chosen[direction] = graphs[name]
        shape = forms.checked_graph_shape(
            name,
            _each(graphs[name], lambda value: tuple(np.shape(value))),
            (5,),
            "(B, L, K, T, T)",
        )
        forms.check_square(name, shape)
        shapes.add(tuple(shape))
    if len(shapes) > 1:
        raise ValueError(
            "The graphs of both directions must have the same shape. "
            f"Received: shapes {sorted(shapes)}"
        )
    _check_size(shape, example)
    if padding_mask is None:
        padding_mask = forms.mask_of(graphs[name])
    kept = _real_positions(padding_mask, shape, example)
    return Example(
        {
            direction: _each(graph, lambda value: value[example : example + 1])
            for direction, graph in chosen.items()
        },
        shape[1:4],
        kept,
    )


def _check_size(shape, example):
    if not 0 <= example < shape[0]:
        raise ValueError(
            f"`example` must be one of the {shape[0]} in the batch, from 0. "
            f"Received: example={example}"
        )
    if shape[-1] > MAX_POSITIONS:
        raise ValueError(
            f"A page shows up to {MAX_POSITIONS} positions; view a part of "
            f"the text or a smaller image. Received: {shape[-1]} positions"
        )


def _each(graph, function):
    """Applies a function to a graph, or to each of its factors."""
    if forms.is_factored(graph):
        return {name: function(value) for name, value in graph.items()}
    return function(graph)


def _real_positions(padding_mask, shape, example):
    mask = checked_mask(padding_mask, (shape[0], shape[-1]))
    if not mask[example].any():
        raise ValueError(
            "There is no real position in this example. "
            f"Received: example={example}"
        )
    return np.flatnonzero(mask[example])


def pack(layers, direction, per_row, bits):
    """Packs the graphs of one direction.

    The bytes, deflated, in base64: for each row of each head of each layer
    its heaviest weight (float32) and its number of edges (uint16); then for
    each edge its source (uint16, less the source of the edge before it in the
    row) and its weight (uint8 or uint16, the heaviest of the row being the
    largest number). All are little-endian.

    Args:
        layers: iterable of arrays `(K, T, T)`.
        direction: `"forward"` or `"backward"`.
        per_row: int, how many edges a row keeps, the heaviest.
        bits: 8 or 16, of a weight. Edges that round to 0 are dropped.

    Returns:
        `(entry, kept, whole)`: dict for the page's JSON, and the sums of the
        weights that are in it and of all weights.
    """
    parts, kept, whole, one_sided = [], 0.0, 0.0, True
    for layer in layers:
        part, share = _pack_layer(layer, per_row, bits)
        parts.append(part)
        kept, whole = kept + share, whole + layer.sum()
        other = np.triu if direction == "forward" else np.tril
        one_sided = one_sided and not other(layer).any()
    arrays = [np.concatenate(each) for each in zip(*parts, strict=True)]
    data = zlib.compress(b"".join(array.tobytes() for array in arrays))
    entry = {
        "edges": len(arrays[-1]),
        "bits": bits,
        "oneSided": bool(one_sided),
        "data": base64.b64encode(data).decode("ascii"),
    }
    return entry, kept, whole


def _pack_layer(layer, per_row, bits):
    graph = _heaviest(layer, per_row)  # (K, T, T)
    top = 2**bits - 1
    maxima = graph.max(axis=-1)  # (K, T)
    scale = np.divide(top, maxima, out=np.zeros_like(maxima), where=maxima > 0)
    levels = np.rint(graph * scale[..., None])
    edges = levels > 0
    heads, receivers, sources = np.nonzero(edges)
    rows = heads * layer.shape[1] + receivers
    gaps = np.diff(sources, prepend=0)
    starts = np.diff(rows, prepend=-1) > 0
    gaps[starts] = sources[starts]
    part = (
        maxima.ravel().astype("<f4"),
        edges.sum(axis=-1).ravel().astype("<u2"),
        gaps.astype("<u2"),
        levels[edges].astype("<u1" if bits == 8 else "<u2"),
    )
    return part, graph[edges].sum()


def _heaviest(layer, count):
    """The graph with all but `count` entries of each row set to 0."""
    if count >= layer.shape[-1]:
        return layer
    sources = np.argpartition(-layer, count - 1, axis=-1)[..., :count]
    kept = np.take_along_axis(layer, sources, axis=-1)
    graph = np.zeros_like(layer)
    np.put_along_axis(graph, sources, kept, axis=-1)
    return graph
