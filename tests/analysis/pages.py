"""What the tests of pages share: example graphs, and what a page holds."""

import base64
import json
import re
import zlib

import numpy as np


def forward_graphs(num_positions, layers=2, heads=3, seed=0, dense=False):
    """Graphs `(1, L, K, T, T)` that look back, rows sum to 1 or 0."""
    shape = (1, layers, heads, num_positions, num_positions)
    scores = np.random.default_rng(seed).random(shape)
    weights = np.tril(np.maximum(scores - (0 if dense else 0.4), 0) ** 2, -1)
    sums = weights.sum(-1, keepdims=True)
    return (weights / np.where(sums > 0, sums, 1)).astype("float32")


def both_directions(num_positions, **kwargs):
    """Forward graphs, and backward graphs that mirror others."""
    other = {**kwargs, "seed": kwargs.get("seed", 0) + 1}
    mirrored = np.flip(forward_graphs(num_positions, **other), (-1, -2))
    return {
        "forward_graphs": forward_graphs(num_positions, **kwargs),
        "backward_graphs": mirrored,
    }


def content(page):
    """The dict of all that a page holds."""
    found = re.search(r'id="data">(.*?)</script>', page.html)
    return json.loads(found[1])


def unpack(page, text=0):
    """The graphs of one text as the page has them, `(L, K, T, T)` each."""
    held = content(page)
    entry = held["texts"][text]
    shape = (held["layers"], held["heads"], entry["length"], entry["length"])
    return {
        name: _unpack(packed, shape) for name, packed in entry["graphs"].items()
    }


def _unpack(packed, shape):
    data = zlib.decompress(base64.b64decode(packed["data"]))
    rows, count = int(np.prod(shape[:3])), packed["edges"]
    levels = "<u1" if packed["bits"] == 8 else "<u2"
    arrays, start = [], 0
    for dtype, size in zip(
        ("<f4", "<u2", "<u2", levels), (rows, rows, count, count), strict=True
    ):
        arrays.append(np.frombuffer(data, dtype, size, start))
        start += arrays[-1].nbytes
    assert start == len(data)
    maxima, counts, gaps, levels = arrays
    graph = np.zeros((rows, shape[3]))
    ends = np.cumsum(counts)
    for row, end in enumerate(ends):
        edges = slice(end - counts[row], end)
        step = maxima[row] / (2 ** packed["bits"] - 1)
        graph[row, np.cumsum(gaps[edges])] = levels[edges] * step
    return graph.reshape(shape)
