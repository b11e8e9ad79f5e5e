"""Inputs of text models: their names, shapes and embeddings."""

import keras
from keras import ops

from glomo_keras.ops.graphs import GRAPHS
from glomo_keras.utils import validation as check

INPUT_SHAPES = {
    "padding_mask": (),
    "token_ids": (),
    "word_ids": (),
    "char_ids": (50,),
    "letter_ids": (16,),
}
"""Shape of each input at one position of a text."""


def text_inputs(names, prefix="", graphs=None):
    """Makes the Keras inputs of a text.

    Args:
        names: Sequence of strings from `INPUT_SHAPES` and `GRAPHS`.
        prefix: String that the inputs' names begin with, such as `"premise"`.
            Defaults to `""`.
        graphs: `GivenGraphs`, if `GRAPHS` are among the names.

    Returns:
        Dict of `keras.Input` by name.

    Raises:
        ValueError: If a name is unknown.
    """
    start = f"{prefix}_" if prefix else ""
    inputs = {}
    for name in dict.fromkeys(names):
        check.check_option("name", name, (*INPUT_SHAPES, *GRAPHS))
        dtype = "bool" if name == "padding_mask" else "int32"
        shape = (None, *INPUT_SHAPES.get(name, ()))
        if name in GRAPHS:
            dtype = "float32"
            shape = (graphs.num_layers, graphs.num_heads, None, None)
        inputs[start + name] = keras.Input(
            shape, dtype=dtype, name=start + name
        )
    return inputs


def embed_text(features, inputs, prefix=""):
    """Embeds a text; the features of several layers stand side by side.

    Args:
        features: Dict of input name to the layer that embeds this input; one
            with the attribute `input_names` takes a dict of these.
        inputs: Dict of the model's inputs.
        prefix: String that the inputs' names begin with. Defaults to `""`.

    Returns:
        Tensor `(B, T, d)`.
    """
    parts = [
        _call(layer, name, inputs, prefix) for name, layer in features.items()
    ]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


def graphs_from(source, inputs, prefix=""):
    """Calls a source of graphs with what it takes of a text's inputs.

    Args:
        source: See `TextModel`.
        inputs: Dict of the model's inputs.
        prefix: String that the inputs' names begin with. Defaults to `""`.

    Returns:
        Dict of `forward_graphs` and `backward_graphs`, or one of them.
    """
    return _call(source, "padding_mask", inputs, prefix)


def _call(layer, name, inputs, prefix):
    """Calls a layer with one input, or a dict of its `input_names`."""
    start = f"{prefix}_" if prefix else ""
    names = getattr(layer, "input_names", ())
    if not names:
        return layer(inputs[start + name])
    return layer({name: inputs[start + name] for name in names})
