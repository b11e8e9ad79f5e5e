"""ELMo's sentences and its LSTM step, as pure functions."""

from keras import ops

from glomo_keras.ops.elmo_characters import BEGIN_SENTENCE
from glomo_keras.ops.elmo_characters import END_SENTENCE
from glomo_keras.ops.elmo_characters import word_ids

FORGET_BIAS = 1.0  # added at run time, not part of the published weights


def real_words(char_ids, padding_mask=None):
    """Returns which words are real, boolean `(B, T)`: those with characters.

    Args:
        char_ids: Integer tensor `(B, T, C)`, 0 on padding.
        padding_mask: Boolean `(B, T)`, the answer where it is known. Defaults
            to `None`.
    """
    if padding_mask is not None:
        return ops.cast(padding_mask, "bool")
    return ops.any(char_ids > 0, axis=-1)


def add_boundaries(char_ids, mask):
    """Puts a boundary mark before and after each sentence.

    Args:
        char_ids: Integer tensor `(B, T, C)`.
        mask: Boolean `(B, T)`, True for the first words of each row.

    Returns:
        Tuple `(ids, mask)`, `(B, T + 2, C)` and `(B, T + 2)`; 0 in the padding.
    """
    dtype = "int32"
    num_characters = char_ids.shape[-1]
    begin, end = (
        ops.convert_to_tensor(word_ids([sign], num_characters), dtype=dtype)
        for sign in (BEGIN_SENTENCE, END_SENTENCE)
    )  # (C,)
    inside = ops.cast(mask, dtype)
    lengths = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    inside = ops.pad(inside, [[0, 0], [1, 1]])[..., None]  # (B, T + 2, 1)
    ids = ops.pad(char_ids, [[0, 0], [1, 1], [0, 0]])  # (B, T + 2, C)
    places = ops.arange(ops.shape(ids)[1], dtype="int32")[None]
    first = ops.cast(places == 0, dtype)[..., None]  # (1, T + 2, 1)
    last = ops.cast(places == lengths + 1, dtype)[..., None]  # (B, T + 2, 1)
    return ids * inside + begin * first + end * last, places <= lengths + 1


def clip(tensor, limit):
    """Clips to +-limit; `None` is no limit."""
    return tensor if limit is None else ops.clip(tensor, -limit, limit)


def lstm_step(gates, cell, projection, cell_clip, projection_clip):
    """Makes a step of an LSTM with a projected output and two clips.

    Args:
        gates: tensor `(B, 4 * H)`: input gate, new value, forget gate and
            output gate, before their activations.
        cell: tensor `(B, H)`, the cell before the step.
        projection: tensor `(H, p)`.
        cell_clip, projection_clip: floats, or None.

    Returns:
        Tuple `(output, cell)`, `(B, p)` and `(B, H)`.
    """
    take, new, keep, show = ops.split(gates, 4, axis=-1)  # (B, H)
    cell = ops.sigmoid(keep + FORGET_BIAS) * cell
    cell = clip(cell + ops.sigmoid(take) * ops.tanh(new), cell_clip)
    output = ops.matmul(ops.sigmoid(show) * ops.tanh(cell), projection)
    return clip(output, projection_clip), cell
