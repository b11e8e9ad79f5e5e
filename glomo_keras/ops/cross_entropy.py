"""Softmax cross entropy over a large vocabulary, without keeping logits."""

import keras
import numpy as np
from keras import ops

from glomo_keras.ops.chunks import cut_rows
from glomo_keras.ops.chunks import for_each_chunk
from glomo_keras.ops.chunks import join_rows
from glomo_keras.ops.chunks import put_chunk
from glomo_keras.ops.chunks import take_chunk
from glomo_keras.ops.chunks import zeros_after

CHUNK_ROWS = 512
CHUNK_LOGITS = 2**25


def tied_cross_entropy(
    states,
    embeddings,
    targets,
    weights,
    num_candidates=None,
    seed=None,
    chunk_rows=CHUNK_ROWS,
):
    """Sums `-weight * log softmax(state @ embeddings.T)[target]` over rows.

    This is the loss of pretraining, Eq. 3. It is computed in equal chunks of
    rows; the gradient of each chunk is taken with its loss, so that no
    `(R, V)` array is kept for the backward pass and no logit is computed
    twice. Logits, softmax and sums are float32; the matrix products run in
    the dtype of `states`.

    With `num_candidates` the sum of the softmax is estimated from that many
    words, see `draw_candidates`, and the target's own share. A target that is
    not among the most frequent words counts in both, which adds about
    `log(1 + p)` to its loss, p being its probability.

    Args:
        states: Tensor `(R, d)`.
        embeddings: Tensor `(V, d)`, the same dtype.
        targets: Integer tensor `(R,)`.
        weights: Float32 tensor `(R,)`.
        num_candidates: Integer. Defaults to `None`, all V words.
        seed: `keras.random.SeedGenerator` of the candidates. Defaults to
            `None`.
        chunk_rows: Integer, the most rows of a chunk, fewer where they had
            more than `CHUNK_LOGITS` logits. Defaults to `512`.

    Returns:
        Tuple `(loss, parts)`: the sum, a float32 scalar, and each row's share
        of it, `(R,)`. Only the sum has a gradient.
    """
    if num_candidates is None or num_candidates >= embeddings.shape[0]:
        counts = ops.zeros_like(weights)
        numbers = (targets, counts, weights)
        return _recorded_loss((states, embeddings), numbers, chunk_rows)
    drawn, sizes = draw_candidates(embeddings.shape[0], num_candidates, seed)
    sure = num_candidates // 2
    candidates = ops.concatenate(
        [embeddings[:sure], ops.take(embeddings, drawn, axis=0)], axis=0
    )
    own = ops.take(embeddings, targets, axis=0)  # (R, d)
    counts = ops.cast(targets >= sure, "float32")
    numbers = (targets, counts, weights, sizes)
    return _recorded_loss((states, candidates, own), numbers, chunk_rows)


def draw_candidates(vocabulary_size, num_candidates, seed):
    """Draws the words from which the sum of a softmax is estimated.

    Half of the candidates are the most frequent words. The rest of the
    vocabulary is cut into as many strata of equal size; one word is drawn from
    each and stands for all of them.

    Args:
        vocabulary_size: Integer V; ids are in the order of frequency.
        num_candidates: Integer, below V.
        seed: `keras.random.SeedGenerator`.

    Returns:
        Tuple `(drawn, sizes)`: int32 ids of the drawn half, and how many
        words each candidate stands for, float32 `(num_candidates,)`.
    """
    sure = num_candidates // 2
    strata = num_candidates - sure
    steps = np.arange(strata + 1, dtype="int64")  # products overflow int32
    edges = sure + steps * (vocabulary_size - sure) // strata
    edges = ops.convert_to_tensor(edges.astype("int32"))
    sizes = ops.cast(edges[1:] - edges[:-1], "float32")
    offsets = (
        keras.random.uniform((strata,), dtype="float32", seed=seed) * sizes
    )
    drawn = edges[:-1] + ops.cast(offsets, edges.dtype)
    drawn = ops.minimum(drawn, edges[1:] - 1)
    return drawn, ops.concatenate([ops.ones((sure,), "float32"), sizes], 0)


def tied_cross_entropy_value(
    states, embeddings, targets, weights, chunk_rows=CHUNK_ROWS
):
    """Computes `tied_cross_entropy` without gradients: a third of the work."""
    most = _most_rows(chunk_rows, embeddings)
    chunks = cut_rows(most, states, targets, weights)

    def add_chunk(index, parts):
        states, targets, weights = take_chunk(chunks, index, parts)
        losses, *_ = _softmax(
            states, embeddings, ops.take(embeddings, targets, axis=0)
        )
        return (put_chunk(parts, index, weights * losses),)

    zeros = ops.zeros(ops.shape(chunks[-1]), "float32")
    (parts,) = for_each_chunk(chunks, add_chunk, (zeros,))
    parts = join_rows(parts, states)
    return ops.sum(parts), parts


def _recorded_loss(tensors, numbers, chunk_rows):
    """Computes the loss, and its gradients with it.

    Args:
        tensors: Tuple of the tensors that get a gradient: states, words and,
            where the targets are not among these, the targets' words.
        numbers, chunk_rows: See `_loss_and_gradients`.
    """

    @ops.custom_gradient
    def record(*tensors):
        parts, *gradients = _loss_and_gradients(
            *tensors, numbers=numbers, chunk_rows=chunk_rows
        )

        def grad(*args, upstream=None):
            scale = (args[0] if upstream is None else upstream)[0]
            return tuple(
                ops.cast(scale * gradient, tensors[0].dtype)
                for gradient in gradients
            )

        # One output: Keras' custom gradients support no more on PyTorch.
        total = ops.reshape(ops.sum(parts), (1,))
        return ops.concatenate([total, parts]), grad

    record = record(*tensors)
    return record[0], ops.stop_gradient(record[1:])


def _loss_and_gradients(states, words, own=None, *, numbers, chunk_rows):
    """Computes each row's share of the loss, and the gradients of the sum.

    Args:
        states: Tensor `(R, d)`.
        words: Tensor `(W, d)`, all words or candidates.
        own: Tensor `(R, d)`, the targets' words; `None` if `words` has all.
        numbers: Tuple of the targets, `own_counts` of `_softmax`, the
            weights, each `(R,)`, and with candidates `sizes` of `_softmax`.
        chunk_rows: Integer, the most rows of a chunk.

    Returns:
        List: float32 `(R,)`, and gradients like the tensors.
    """
    targets, own_counts, weights, *sizes = numbers
    sizes = sizes[0] if sizes else None
    chunks = cut_rows(
        _most_rows(chunk_rows, words),
        *(states, targets, own_counts, weights),
        *(() if own is None else (own,)),
    )
    sized = _times_sizes(words, sizes)

    def add_chunk(index, parts, d_states, d_words, pulls):
        chunk = take_chunk(chunks, index, d_words)
        part, d_chunk, d_chunk_words, pull = _chunk_gradients(
            *chunk, words=words, sized=sized, sizes=sizes
        )
        return (
            put_chunk(parts, index, part),
            put_chunk(d_states, index, d_chunk),
            d_words + d_chunk_words,
            put_chunk(pulls, index, pull),
        )

    parts, d_states, d_words, pulls = for_each_chunk(
        chunks,
        add_chunk,
        tuple(
            zeros_after(ops.shape(x), weights)
            for x in (chunks[3], chunks[0], words, chunks[3])
        ),
    )
    parts, d_states, pulls = (
        join_rows(x, states) for x in (parts, d_states, pulls)
    )
    if own is None:
        return [parts, d_states, d_words]
    return [
        parts,
        d_states + _times_sizes(ops.cast(own, "float32"), pulls),
        _times_sizes(d_words, sizes),
        _times_sizes(ops.cast(states, "float32"), pulls),
    ]


def _chunk_gradients(
    states, targets, own_counts, weights, own=None, *, words, sized, sizes
):
    """Computes a chunk's share of the loss and of its gradients, in float32.

    Returns:
        Tuple of each row's share of the loss, `(chunk,)`; the gradients of
        the states and of the words; and the gradient of each target's own
        logit that these leave out, `(chunk,)`.
    """
    one_of_words = own is None
    own = ops.take(words, targets, axis=0) if one_of_words else own
    losses, exp, total, own_exp = _softmax(
        states, words, own, own_counts, sizes
    )
    if keras.backend.standardize_dtype(states.dtype) == "float16":
        # A sum over many words exceeds float16's largest number.
        exp, own_exp = exp / ops.expand_dims(total, 1), own_exp / total
        total = ops.ones_like(total)
    if one_of_words:
        exp = _put_own(exp, targets, own_exp - total)
    exp = ops.cast(exp, states.dtype)  # (chunk, W)
    scale = weights / total
    rows = _times_sizes(ops.cast(states, "float32"), scale)
    d_words = ops.matmul(ops.transpose(exp), ops.cast(rows, states.dtype))
    d_states = ops.cast(ops.matmul(exp, sized), "float32")
    return (
        weights * losses,
        _times_sizes(d_states, scale),
        ops.cast(d_words, "float32"),
        own_counts * own_exp * scale - weights,
    )


def _times_sizes(rows, sizes):
    """Multiplies each row by its number; `None` stands for 1."""
    if sizes is None:
        return rows
    return rows * ops.cast(ops.expand_dims(sizes, 1), rows.dtype)


def _softmax(states, words, own, own_counts=0.0, sizes=None):
    """Computes the losses of rows and what their gradients need.

    Args:
        states: Tensor `(R, d)`.
        words: Tensor `(W, d)`.
        own: Tensor `(R, d)`, the targets' words.
        own_counts: 1 where the target is not one of the words, else 0.
            Defaults to `0.0`.
        sizes: Float32 `(W,)`, how many words each stands for. Defaults to
            `None`, one each.

    Returns:
        Float32 tensors: the losses `(R,)`; `exp(logit - highest)`, `(R, W)`;
        their sums `(R,)`, which count the target; and the target's `(R,)`.
    """
    logits = ops.matmul(states, ops.transpose(words))
    logits = ops.cast(logits, "float32")  # (R, W)
    own_logits = ops.sum(
        ops.cast(states, "float32") * ops.cast(own, "float32"), axis=-1
    )
    highest = ops.maximum(ops.max(logits, axis=-1), own_logits)  # (R,)
    exp = ops.exp(logits - ops.expand_dims(highest, 1))
    own_exp = ops.exp(own_logits - highest)
    if sizes is None:
        total = ops.sum(exp, axis=-1)
    else:
        total = ops.matmul(exp, ops.expand_dims(sizes, 1))[:, 0]
    total = total + own_counts * own_exp
    return ops.log(total) + highest - own_logits, exp, total, own_exp


def _put_own(exp, targets, values):
    """Puts a value in the column of each row's target, `(R, W)`.

    Softmax minus one-hot, the gradient of a logit, without a one-hot array.
    """
    rows = ops.arange(ops.shape(exp)[0], dtype="int32")
    places = ops.stack([rows, ops.cast(targets, "int32")], axis=1)
    return ops.scatter_update(exp, places, values)


def _most_rows(chunk_rows, words):
    return max(1, min(chunk_rows, CHUNK_LOGITS // words.shape[0]))
