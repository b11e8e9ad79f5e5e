"""An interactive page of graphs: one HTML file that needs no network."""

import html
import json
import pathlib
import re

from glomo_keras.analysis.page_content import page_content
from glomo_keras.utils import files

FOLDER = pathlib.Path(__file__).parent / "page"
SCRIPTS = (
    "data.js",
    "terms.js",
    "colours.js",
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
    """Holds an interactive page of graphs, made by `view_graphs`.

    A notebook shows it when it is the last value of a cell, in a frame that
    can reach neither the notebook nor the network.

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
    layers and mixes all terms with weights that the reader sets. For an image
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
            of up to about 4 MB.

    Returns:
        A `GraphPage`: shown by notebooks, written by `page.save(path)`.

    Raises:
        ValueError: If the graphs, the mask or the weights are not of these
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
    content = page_content(
        graphs, tokens, image, padding_mask, example, weights, max_edges
    )
    return GraphPage(_fill_in({"title": str(title), **content}))


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
