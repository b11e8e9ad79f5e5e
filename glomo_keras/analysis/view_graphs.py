"""An interactive page of graphs: one HTML file that needs no network."""

import base64
import html
import json
import pathlib
import re

import numpy as np
from keras import ops

from glomo_keras.analysis import page_graphs
from glomo_keras.utils import files
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.validation import check_positive

FOLDER = pathlib.Path(__file__).parent / "page"
SCRIPTS = (
    "data.js",
    "terms.js",
    "scene.js",
    "words.js",
    "matrix.js",
    "pixels.js",
    "overview.js",
    "details.js",
    "state.js",
    "page.js",
    "controls.js",
)
"""The scripts of the page, which share one scope, in their order."""


class GraphPage:
    """A page of graphs; `view_graphs` makes it.

    As the last value of a notebook's cell it shows itself, in a frame that
    can neither reach the notebook nor the network.

    Attributes:
        html: string, the whole page.
    """

    def __init__(self, page):
        self.html = page

    def _repr_html_(self):
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="Graphs" '
            'sandbox="allow-scripts allow-downloads" width="100%" height="800" '
            'style="border: 0"></iframe>'
        )

    def save(self, path):
        """Writes the page to a file, and makes its folder if it is missing.

        Args:
            path: path of the file, by custom with the suffix `.html`.
        """
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_file(path) as file:
            file.write(self.html)


def view_graphs(
    graphs,
    tokens=None,
    *,
    image=None,
    padding_mask=None,
    example=0,
    weights=None,
    title="Graphs",
    max_edges=2_000_000,
):
    """Makes an interactive page of the graphs of a text, texts or an image.

    The page shows all layers and heads as small pictures and one of them
    large: the text with lines between its words, or a heat map. It multiplies
    layers and mixes all terms with weights that the reader sets. Of an image
    it shows the edges of the chosen pixel in all heads.

    The page is a file of its own and loads nothing. It holds up to
    `max_edges` edges: each row, of each head, layer, direction and text,
    keeps its `max_edges // rows` heaviest, which is all of them for texts of
    200 words and two directions of 24 heads. Weights are rounded to 1/65535
    of the heaviest in their row, or 1/255 where the graphs have more than
    500,000 entries, and edges that round to 0 are dropped. The page says
    which share of the weight it holds. What it computes, it computes from
    these edges; of products of more than 256 positions it drops edges below
    1/510 of the heaviest in their row.

    Args:
        graphs: dict of `forward_graphs`, `backward_graphs` or both, as a
            graph predictor gives them: each `(B, L, K, T, T)`, or the dict of
            its factors. For several texts a dict from their names to such
            dicts, all with the same L, K and directions.
        tokens: sequence of strings (or UTF-8 bytes), the real positions of
            the example; for several texts a dict from their names, such as
            `"premise"` and `"hypothesis"`, to such sequences. Defaults to
            None, for an image.
        image: uint8 array `(H, W, 3)`, in place of the tokens; T = H W.
            Defaults to None.
        padding_mask: boolean `(B, T)`, True = real position; for several
            texts a dict from their names. Defaults to None: the mask of the
            factors, if they have one, else all positions are real.
        example: int, which example of the batch. Defaults to 0.
        weights: dict from `"forward"` and `"backward"` to an array `(N,)`,
            the weights of a mixture at first, such as
            `transfer.mixtures["forward"].mixture_weights()[0]`; N = L K, or
            (2L - 1) K with products. Defaults to None: all equal.
        title: string. Defaults to `"Graphs"`.
        max_edges: int, see above. Defaults to 2,000,000, which makes a file
            of about 5 MB.

    Returns:
        A `GraphPage`: shown by notebooks, written by `page.save(path)`.

    Raises:
        ValueError: if the graphs, the mask or the weights are not of these
            forms, have negative or non-finite entries or edges of padding, do
            not match the tokens or the image, or have more than 4096
            positions.

    Example:

    >>> import numpy as np, glomo_keras as gk
    >>> graphs = {"forward_graphs": np.tile(np.eye(3, k=-1), (1, 2, 4, 1, 1))}
    >>> page = gk.analysis.view_graphs(graphs, ["a", "dog", "barks"])
    >>> page.html[:15]
    '<!DOCTYPE html>'
    """
    check_positive(max_edges=max_edges)
    texts = _texts(graphs, tokens, image, padding_mask, example)
    given = [text["example"] for text in texts]
    layers, heads = _common_shape(given)
    directions = list(given[0].graphs)
    packed, kept = _pack(given, max_edges)
    content = {
        "title": str(title),
        "layers": layers,
        "heads": heads,
        "directions": directions,
        "texts": [
            {
                "name": text["name"],
                "tokens": text["tokens"],
                "length": len(text["example"].kept),
                "graphs": graphs,
            }
            for text, graphs in zip(texts, packed, strict=True)
        ],
        "image": _image_entry(image),
        "weights": _checked_weights(weights, directions, layers, heads),
        "kept": kept,
    }
    return GraphPage(_fill_in(content))


def _texts(graphs, tokens, image, padding_mask, example):
    """Returns dicts of name, tokens and `Example`, one for each text."""
    if (tokens is None) == (image is None):
        raise ValueError(
            "Give either `tokens` or an `image`. Received: "
            + ("neither" if tokens is None else "both")
        )
    if image is not None:
        one = page_graphs.read_example(graphs, padding_mask, example)
        _check_image(image, one)
        return [{"name": "", "tokens": None, "example": one}]
    if not isinstance(tokens, dict):
        graphs, tokens, padding_mask = (
            {"": each} for each in (graphs, tokens, padding_mask)
        )
    masks = padding_mask or dict.fromkeys(tokens)
    for name, value in (("graphs", graphs), ("padding_mask", masks)):
        if not isinstance(value, dict) or set(value) != set(tokens):
            got = sorted(value) if isinstance(value, dict) else type(value)
            raise ValueError(
                f"`{name}` must be a dict with the names of the texts, "
                f"{sorted(tokens)}. Received: {got}"
            )
    texts = []
    for name, words in tokens.items():
        one = page_graphs.read_example(graphs[name], masks[name], example)
        check_names(words, len(one.kept), "tokens")
        words = [_as_text(word) for word in words]
        texts.append({"name": str(name), "tokens": words, "example": one})
    return texts


def _as_text(token):
    if isinstance(token, bytes):
        return token.decode("utf-8", "replace")
    return str(token)


def _check_image(image, example):
    image = np.asarray(image)
    if image.dtype != "uint8" or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(
            "`image` must be a uint8 array (H, W, 3). "
            f"Received: image of {image.dtype}, shape {image.shape}"
        )
    if len(example.kept) != image.shape[0] * image.shape[1]:
        raise ValueError(
            "The graphs must have a position for each pixel of the image. "
            f"Received: {len(example.kept)} positions, an image of shape "
            f"{image.shape}"
        )


def _common_shape(examples):
    """Returns `(L, K)`, the same for all texts."""
    found = {(example.shape[:2], *example.graphs) for example in examples}
    if len(found) > 1:
        raise ValueError(
            "All texts must have graphs of the same layers, heads and "
            f"directions. Received: {sorted(found)}"
        )
    return examples[0].shape[:2]


def _pack(examples, max_edges):
    """Returns the packed graphs of each text, and what was kept, in words."""
    rows = sum(
        len(each.graphs) * each.shape[0] * each.shape[1] * len(each.kept)
        for each in examples
    )
    longest = max(len(each.kept) for each in examples)
    per_row = max(1, max_edges // rows)
    fine = rows * longest <= page_graphs.FINE_ENTRIES
    bits = 16 if fine else 8
    packed, kept, whole = [], 0.0, 0.0
    for example in examples:
        packed.append({})
        for direction in example.graphs:
            packed[-1][direction], part, total = page_graphs.pack(
                example.layers(direction), direction, per_row, bits
            )
            kept, whole = kept + part, whole + total
    share = kept / whole if whole else 1.0
    if per_row >= longest and fine:
        return packed, "This page holds all edges."
    which = (
        f"the {per_row} heaviest edges of each row"
        if per_row < longest
        else "the edges above 1/510 of the heaviest in their row"
    )
    return packed, f"This page holds {which}: {share:.1%} of all weight."


def _image_entry(image):
    if image is None:
        return None
    image = np.asarray(image)
    data = base64.b64encode(image.tobytes()).decode("ascii")
    return {"height": image.shape[0], "width": image.shape[1], "data": data}


def _checked_weights(weights, directions, layers, heads):
    """Returns lists of (2L - 1) K weights by direction, or None."""
    if weights is None:
        return None
    if not isinstance(weights, dict) or set(weights) != set(directions):
        got = sorted(weights) if isinstance(weights, dict) else type(weights)
        raise ValueError(
            f"`weights` must be a dict with the entries {directions}. "
            f"Received: {got}"
        )
    terms = 2 * layers - 1
    checked = {}
    for direction, values in weights.items():
        values = np.asarray(ops.convert_to_numpy(values), "float64")
        if values.shape == (layers * heads,):
            full = np.zeros((terms, heads))
            full[[0, *range(1, terms, 2)]] = values.reshape(layers, heads)
            values = full.ravel()
        good = values.shape == (terms * heads,) and np.isfinite(values).all()
        if not good or values.min() < 0 or not values.any():
            raise ValueError(
                f"The weights of a mixture must be {layers * heads} or, with "
                f"products, {terms * heads} numbers that are finite, not "
                f"negative and not all 0. Received: weights[{direction!r}] of "
                f"shape {values.shape}"
            )
        checked[direction] = values.tolist()
    return checked


def _fill_in(content):
    """Returns the page with this content.

    The content is ASCII, and no "<" stands in it, so that no token can end
    the element that holds it.
    """
    parts = {
        "style": _read("page.css"),
        "script": "\n".join(map(_read, SCRIPTS)),
        "data": json.dumps(content).replace("<", "\\u003c"),
    }
    # One pass: a token that looks like a placeholder is left alone.
    return re.sub(
        r"\{\{(style|script|data)\}\}",
        lambda match: parts[match[1]],
        _read("page.html"),
    )


def _read(name):
    return (FOLDER / name).read_text("utf-8")
