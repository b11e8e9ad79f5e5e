"""The inputs that the models of texts share: names, shapes, embeddings."""

import keras
from keras import ops

from glomo_keras.utils import validation as check

UNIT_SHAPES = {
    "token_ids": (),
    "word_ids": (),
    "char_ids": (50,),
    "letter_ids": (16,),
}
"""Shape of what an input holds for each unit of a text."""


def text_inputs(names, prefix=""):
    """Keras inputs of a text.

    Args:
        names: of `padding_mask` and of `UNIT_SHAPES`.
        prefix: string that their names begin with, as `"premise"`.

    Returns:
        Dict of `keras.Input` by name.

    Raises:
        ValueError: an unknown name.
    """
    start = f"{prefix}_" if prefix else ""
    inputs = {}
    for name in dict.fromkeys(names):
        check.check_option("name", name, ("padding_mask", *UNIT_SHAPES))
        inputs[start + name] = keras.Input(
            (None, *UNIT_SHAPES.get(name, ())),
            dtype="bool" if name == "padding_mask" else "int32",
            name=start + name,
        )
    return inputs


def embed_text(features, inputs, prefix=""):
    """The features of a text's units, those of several layers side by side.

    Args:
        features: dict of input name to the layer that embeds this input.
        inputs: dict of the model's inputs.
        prefix: string that the inputs' names begin with.

    Returns:
        Tensor `(B, T, d)`.
    """
    start = f"{prefix}_" if prefix else ""
    parts = [layer(inputs[start + name]) for name, layer in features.items()]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


def serialize_features(features):
    """The layers of a `features` argument, for a config."""
    return {k: keras.layers.serialize(x) for k, x in features.items()}


def deserialize_features(configs):
    """The layers of `serialize_features`; layers stay as they are."""
    return {
        name: keras.layers.deserialize(x) if isinstance(x, dict) else x
        for name, x in configs.items()
    }
