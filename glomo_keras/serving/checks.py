"""Checks of the arguments of an export, made before anything is written."""

import math
import numbers

import keras

from glomo_keras.data.text.predict_graphs import check_tokenizer_options
from glomo_keras.ops.graphs import GRAPHS
from glomo_keras.serving.signatures import IMAGE_INPUTS
from glomo_keras.serving.signatures import TEXT_INPUTS


def check_backend(what):
    """Raises RuntimeError unless Keras runs on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{what} can be written on the TensorFlow backend only. "
            f"Received: backend={keras.backend.backend()!r}"
        )


def check_whole(name, value, smallest, largest=math.inf):
    """Raises ValueError unless a number is an integer in a range."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not smallest <= value <= largest:
        limit = "or more" if math.isinf(largest) else f"to {largest}"
        raise ValueError(
            f"`{name}` must be an integer, {smallest} {limit}. "
            f"Received: {name}={value!r}"
        )


def check_predictor(predictor):
    """Raises ValueError unless a model has a predictor's inputs and outputs."""
    inputs, outputs = (_names(predictor, kind) for kind in ("input", "output"))
    if inputs not in (sorted(TEXT_INPUTS), sorted(IMAGE_INPUTS)):
        raise ValueError(
            "`predictor` must be a functional model whose inputs are a dict "
            f"with the names {TEXT_INPUTS} or {IMAGE_INPUTS}. "
            f"Received: inputs={inputs}"
        )
    if not isinstance(outputs, list) or not set(outputs) <= set(GRAPHS):
        raise ValueError(
            "`predictor` must be a functional model whose outputs are a dict "
            f"with the names {list(GRAPHS)}, or one of them. "
            f"Received: outputs={outputs}"
        )


def check_tokenizer(tokenizer, predictor):
    """Raises ValueError where a tokenizer is not that of the predictor."""
    if tokenizer is None:
        return
    vocabulary = getattr(predictor, "vocabulary", None)
    if tokenizer.vocabulary is None or tokenizer.vocabulary != vocabulary:
        sizes = [
            None if words is None else len(words)
            for words in (tokenizer.vocabulary, vocabulary)
        ]
        raise ValueError(
            "`tokenizer.vocabulary` must be that of the predictor, "
            "`predictor.vocabulary`. Received: different vocabularies, of "
            f"{sizes[0]} and {sizes[1]} tokens"
        )
    check_tokenizer_options(predictor, tokenizer)


def check_vocabulary(vocabulary):
    """Raises ValueError where a token does not fit a line of a file."""
    for token in vocabulary or ():
        if "\n" in token or "\r" in token:
            raise ValueError(
                "A token of `predictor.vocabulary` must not contain a line "
                f"break. Received: token={token!r}"
            )


def check_new(target):
    """Raises FileExistsError where an export is there already."""
    if target.exists():
        raise FileExistsError(
            "An export is never overwritten; take the next version, or another "
            f"name. Received: {target}, which exists"
        )


def _names(predictor, kind):
    """Returns the sorted names of a dict, or the type of anything else."""
    tensors = getattr(predictor, kind, None)
    if isinstance(tensors, dict):
        return sorted(tensors)
    return type(tensors).__name__
