"""Builds the content of a page of graphs: the dict that becomes its JSON."""

import base64

import numpy as np
from keras import ops

from glomo_keras.analysis import page_graphs
from glomo_keras.utils.graph_arrays import check_names
from glomo_keras.utils.graph_arrays import token_text
from glomo_keras.utils.validation import check_positive


def page_content(
    graphs, tokens, image, padding_mask, example, weights, max_edges
):
    """Returns the content of a page, without its title.

    The arguments are those of `view_graphs`.

    Returns:
        Dict of `layers` and `heads`, integers; `directions`, list of strings;
        `texts`, list of dicts of `name`, `tokens` (None for an image),
        `length` and `graphs`; `image`, dict or None; `weights`, dict of lists
        or None; and `kept`, a sentence that says what was dropped.
    """
    check_positive(max_edges=max_edges)
    texts = _texts(graphs, tokens, image, padding_mask, example)
    examples = [text["example"] for text in texts]
    layers, heads = _common_shape(examples)
    directions = list(examples[0].graphs)
    weights = _checked_weights(weights, directions, layers, heads)
    packed, kept = _pack(examples, max_edges)
    return {
        "layers": layers,
        "heads": heads,
        "directions": directions,
        "texts": [
            {
                "name": text["name"],
                "tokens": text["tokens"],
                "length": len(text["example"].kept),
                "graphs": entries,
            }
            for text, entries in zip(texts, packed, strict=True)
        ],
        "image": _image_entry(image),
        "weights": weights,
        "kept": kept,
    }


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
    masks = padding_mask
    if masks is None:
        masks = dict.fromkeys(tokens)
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
        words = [token_text(word) for word in words]
        texts.append({"name": str(name), "tokens": words, "example": one})
    return texts


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
    """Returns the packed graphs of each text, and a note on what was kept."""
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
