"""Softmax cross entropy over a large vocabulary, without keeping logits."""

import keras
from keras import ops

CHUNK_ROWS = 512
CHUNK_LOGITS = 2**24


def tied_cross_entropy(
    states,
    embeddings,
    targets,
    weights,
    num_candidates=None,
    seed=None,
    after=None,
):
    """Sum over rows of `-weight * log softmax(state @ embeddings.T)[target]`.

    The rows are worked off in chunks of `CHUNK_ROWS`, or fewer where that is
    more than `CHUNK_LOGITS` logits; the gradient of each
    chunk is taken on the way, so that no `(R, V)` array is kept for the
    backward pass and no logit is computed twice. Logits, softmax and sums
    are float32; the matrix products run in the dtype of `states`.

    With `num_candidates` the sum of the softmax is estimated from that many
    words, see `draw_candidates`, and the target's own share.

    Args:
        states: tensor `(R, d)`.
        embeddings: tensor `(V, d)`, the same dtype.
        targets: integer tensor `(R,)`.
        weights: float32 tensor `(R,)`.
        num_candidates: integer or None (all V words).
        seed: `keras.random.SeedGenerator`, of the candidates.
        after: loss that is computed before this one begins, so that their
            chunks are not held at the same time.

    Returns:
        Float32 scalar.
    """
    states = _wait(states, after)
    own = ops.take(embeddings, targets, axis=0)  # (R, d)
    own_counts, sizes = ops.zeros_like(weights), None
    if num_candidates is not None and num_candidates < embeddings.shape[0]:
        sure = num_candidates // 2
        drawn, sizes = draw_candidates(
            embeddings.shape[0], num_candidates, seed
        )
        own_counts = ops.cast(targets >= sure, "float32")
        embeddings = ops.concatenate(
            [embeddings[:sure], ops.take(embeddings, drawn, axis=0)], axis=0
        )
    return _recorded_loss(states, embeddings, own, sizes, own_counts, weights)


def draw_candidates(vocabulary_size, num_candidates, seed):
    """Words from which the sum of a softmax over the vocabulary is estimated.

    The first half of the candidates are the first, the most frequent, words
    of the vocabulary. The rest of it is cut into as many equal strata; one
    word is drawn from each and stands for all of them.

    Args:
        vocabulary_size: integer, V; ids are in the order of frequency.
        num_candidates: integer, below V.
        seed: `keras.random.SeedGenerator`.

    Returns:
        `(drawn, sizes)`: int32 ids of the drawn half, and how many words
        each candidate stands for, float32 `(num_candidates,)`.
    """
    sure = num_candidates // 2
    strata = num_candidates - sure
    edges = sure + ops.arange(strata + 1) * (vocabulary_size - sure) // strata
    sizes = ops.cast(edges[1:] - edges[:-1], "float32")
    offsets = keras.random.uniform((strata,), seed=seed) * sizes
    drawn = edges[:-1] + ops.cast(offsets, edges.dtype)
    drawn = ops.minimum(drawn, edges[1:] - 1)
    return drawn, ops.concatenate([ops.ones((sure,), "float32"), sizes], 0)


def tied_cross_entropy_value(states, embeddings, targets, weights, after=None):
    """The value of `tied_cross_entropy` alone, for a third of the work."""
    states = _wait(states, after)
    own = ops.take(embeddings, targets, axis=0)
    chunks = _chunks(
        embeddings.shape[0], states, own, ops.zeros_like(weights), weights
    )

    def add_chunk(index, loss):
        chunk = _take_chunk(chunks, index, loss)
        return (loss + _chunk_loss(chunk, embeddings, None)[0],)

    return _for_each_chunk(chunks, add_chunk, (ops.zeros((), "float32"),))[0]


def _recorded_loss(states, candidates, own, sizes, own_counts, weights):
    """The loss, which computes its gradients with its value."""

    @ops.custom_gradient
    def total_loss(states, candidates, own):
        loss, *gradients = _loss_and_gradients(
            states, candidates, own, sizes, own_counts, weights
        )

        def grad(*args, upstream=None):
            scale = args[0] if upstream is None else upstream
            return tuple(
                ops.cast(scale * gradient, states.dtype)
                for gradient in gradients
            )

        return loss, grad

    return total_loss(states, candidates, own)


def _loss_and_gradients(states, candidates, own, sizes, own_counts, weights):
    """The loss, and its float32 gradients by the first three arguments."""
    chunks = _chunks(candidates.shape[0], states, own, own_counts, weights)
    sized = _times_sizes(candidates, sizes)

    def add_chunk(index, loss, d_states, d_candidates, own_shares):
        chunk = _take_chunk(chunks, index, loss)
        chunk_loss, exp, scale, own_share = _chunk_loss(
            chunk, candidates, sizes
        )
        exp = ops.cast(exp, states.dtype)  # (chunk, candidates)
        d_chunk = scale * ops.cast(ops.matmul(exp, sized), "float32")
        rows = ops.cast(scale * ops.cast(chunk[0], "float32"), states.dtype)
        d_words = ops.cast(ops.matmul(ops.transpose(exp), rows), "float32")
        d_states = ops.slice_update(
            d_states, (index, 0, 0), ops.expand_dims(d_chunk, 0)
        )
        own_shares = ops.slice_update(
            own_shares, (index, 0), ops.expand_dims(own_share, 0)
        )
        return loss + chunk_loss, d_states, d_candidates + d_words, own_shares

    loss, d_states, d_candidates, own_shares = _for_each_chunk(
        chunks,
        add_chunk,
        (
            ops.zeros((), "float32"),
            ops.zeros(ops.shape(chunks[0]), "float32"),
            ops.zeros(ops.shape(candidates), "float32"),
            ops.zeros(ops.shape(chunks[3]), "float32"),
        ),
    )
    rows = ops.shape(states)[0]
    pull = ops.reshape(own_shares, (-1, 1))[:rows] - ops.expand_dims(weights, 1)
    d_states = ops.reshape(d_states, (-1, states.shape[-1]))[:rows]
    return (
        loss,
        d_states + pull * ops.cast(own, "float32"),
        _times_sizes(d_candidates, sizes),
        pull * ops.cast(states, "float32"),
    )


def _times_sizes(rows, sizes):
    """Each candidate's row as often as the words that it stands for."""
    if sizes is None:
        return rows
    return rows * ops.cast(ops.expand_dims(sizes, 1), rows.dtype)


def _chunk_loss(chunk, candidates, sizes):
    """The loss of a chunk and what its gradients are made of.

    Returns:
        The loss; `exp(logit - highest logit)` of the candidates,
        `(chunk, candidates)`; what makes them weighted shares of the sum,
        `(chunk, 1)`; and that share of the target itself, `(chunk,)`.
    """
    states, own, own_counts, weights = chunk
    logits = ops.matmul(states, ops.transpose(candidates))
    logits = ops.cast(logits, "float32")  # (chunk, candidates)
    own_logits = ops.sum(
        ops.cast(states, "float32") * ops.cast(own, "float32"), axis=-1
    )
    highest = ops.maximum(ops.max(logits, axis=-1), own_logits)  # (chunk,)
    exp = ops.exp(logits - ops.expand_dims(highest, 1))
    own_exp = own_counts * ops.exp(own_logits - highest)
    if sizes is None:
        total = ops.sum(exp, axis=-1)
    else:
        total = ops.matmul(exp, ops.expand_dims(sizes, 1))[:, 0] + own_exp
    loss = ops.sum(weights * (ops.log(total) + highest - own_logits))
    scale = weights / total
    return loss, exp, ops.expand_dims(scale, 1), own_exp * scale


def _chunks(num_words, states, own, *numbers):
    """Rows in chunks: `(n, chunk, d)` twice, `(n, chunk)` for the numbers.

    Rows that fill up the last chunk have weight 0.
    """
    num_rows = ops.shape(states)[0]
    size = max(1, min(CHUNK_ROWS, CHUNK_LOGITS // num_words))
    if isinstance(num_rows, int):
        size = max(1, min(size, num_rows))
    missing = -num_rows % size
    width = states.shape[-1]
    return (
        *(
            ops.reshape(
                ops.pad(part, ((0, missing), (0, 0))), (-1, size, width)
            )
            for part in (states, own)
        ),
        *(
            ops.reshape(ops.pad(part, ((0, missing),)), (-1, size))
            for part in numbers
        ),
    )


def _take_chunk(chunks, index, loss):
    """One chunk, made to wait for the loss of the chunks before it.

    The wait, an addition of `min(loss, 0) = 0`, keeps TensorFlow from
    computing the logits of several loop iterations at the same time.
    """
    states, *others = (ops.take(part, index, axis=0) for part in chunks)
    return (_wait(states, loss), *others)


def _wait(states, loss):
    """The states, to be had once a loss is computed."""
    if loss is None:
        return states
    nothing = ops.minimum(ops.stop_gradient(loss), 0.0)
    return states + ops.cast(nothing, states.dtype)


def _for_each_chunk(chunks, function, initial):
    """Folds `function(index, *values) -> values` over the chunks."""
    count = ops.shape(chunks[0])[0]
    if isinstance(count, int) and count == 1:
        return function(0, *initial)
    return ops.while_loop(
        lambda index, *values: index < count,
        lambda index, *values: (index + 1, *function(index, *values)),
        (0, *initial),
    )[1:]
