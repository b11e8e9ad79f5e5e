"""Softmax cross entropy over a large vocabulary, without keeping logits."""

from keras import ops

CHUNK_ROWS = 512


def tied_cross_entropy(states, embeddings, targets, weights):
    """Sum over rows of `-weight * log softmax(state @ embeddings.T)[target]`.

    The rows are worked off in chunks of `CHUNK_ROWS`; the gradient of each
    chunk is taken on the way, so that no `(R, V)` array is kept for the
    backward pass and no logit is computed twice. Logits, softmax and sums
    are float32; the matrix products run in the dtype of `states`.

    Args:
        states: tensor `(R, d)`.
        embeddings: tensor `(V, d)`, the same dtype.
        targets: integer tensor `(R,)`.
        weights: float32 tensor `(R,)`.

    Returns:
        Float32 scalar.
    """

    @ops.custom_gradient
    def total_loss(states, embeddings):
        loss, d_states, d_embeddings = _loss_and_gradients(
            states, embeddings, targets, weights
        )

        def grad(*args, upstream=None):
            scale = args[0] if upstream is None else upstream
            return (
                ops.cast(scale * d_states, states.dtype),
                ops.cast(scale * d_embeddings, embeddings.dtype),
            )

        return loss, grad

    return total_loss(states, embeddings)


def tied_cross_entropy_value(states, embeddings, targets, weights):
    """The value of `tied_cross_entropy` alone, for a third of the work."""
    chunks = _chunks(states, targets, weights)

    def add_chunk(index, loss):
        chunk_loss, _ = _chunk_loss(
            *_take_chunk(chunks, index, loss), embeddings
        )
        return (loss + chunk_loss,)

    return _for_each_chunk(chunks, add_chunk, (ops.zeros((), "float32"),))[0]


def _loss_and_gradients(states, embeddings, targets, weights):
    """The loss, and its float32 gradients by states and embeddings."""
    chunks = _chunks(states, targets, weights)

    def add_chunk(index, loss, d_states, d_embeddings):
        chunk = _take_chunk(chunks, index, loss)
        chunk_loss, p = _chunk_loss(*chunk, embeddings)
        p = ops.cast(p, states.dtype)  # (chunk, V)
        d_chunk = ops.cast(ops.matmul(p, embeddings), "float32")
        d_words = ops.cast(ops.matmul(ops.transpose(p), chunk[0]), "float32")
        d_states = ops.slice_update(
            d_states, (index, 0, 0), ops.expand_dims(d_chunk, 0)
        )
        return loss + chunk_loss, d_states, d_embeddings + d_words

    loss, d_states, d_embeddings = _for_each_chunk(
        chunks,
        add_chunk,
        (
            ops.zeros((), "float32"),
            ops.zeros(ops.shape(chunks[0]), "float32"),
            ops.zeros(ops.shape(embeddings), "float32"),
        ),
    )
    width = states.shape[-1]
    d_states = ops.reshape(d_states, (-1, width))[: ops.shape(states)[0]]
    return (
        loss,
        *_less_targets(
            d_states, d_embeddings, states, embeddings, targets, weights
        ),
    )


def _less_targets(d_states, d_embeddings, states, embeddings, targets, weights):
    """The one-hot half of `softmax - one_hot`, by gather and scatter."""
    weights = ops.expand_dims(weights, 1)
    own = ops.cast(ops.take(embeddings, targets, axis=0), "float32")
    drawn = ops.segment_sum(
        weights * ops.cast(states, "float32"),
        targets,
        num_segments=embeddings.shape[0],
    )
    return d_states - weights * own, d_embeddings - drawn


def _chunk_loss(states, targets, weights, embeddings):
    """Loss of one chunk, and its weighted softmax `(chunk, V)`."""
    logits = ops.matmul(states, ops.transpose(embeddings))
    logits = ops.cast(logits, "float32")  # (chunk, V)
    logits = logits - ops.max(logits, axis=-1, keepdims=True)
    exp = ops.exp(logits)
    total = ops.sum(exp, axis=-1)  # (chunk,)
    own = ops.take_along_axis(logits, ops.expand_dims(targets, 1), axis=1)
    loss = ops.sum(weights * (ops.log(total) - own[:, 0]))
    return loss, exp * ops.expand_dims(weights / total, 1)


def _chunks(states, targets, weights):
    """Rows in chunks: `(n, chunk, d)`, `(n, chunk)`, `(n, chunk)`.

    Rows that fill up the last chunk have weight 0.
    """
    num_rows = ops.shape(states)[0]
    size = CHUNK_ROWS
    if isinstance(num_rows, int):
        size = max(1, min(CHUNK_ROWS, num_rows))
    missing = -num_rows % size
    return (
        ops.reshape(
            ops.pad(states, ((0, missing), (0, 0))),
            (-1, size, states.shape[-1]),
        ),
        ops.reshape(ops.pad(targets, ((0, missing),)), (-1, size)),
        ops.reshape(ops.pad(weights, ((0, missing),)), (-1, size)),
    )


def _take_chunk(chunks, index, loss):
    """One chunk, made to wait for the loss of the chunks before it.

    The wait, an addition of `min(loss, 0) = 0`, keeps TensorFlow from
    computing the logits of several loop iterations at the same time.
    """
    states, targets, weights = (
        ops.take(part, index, axis=0) for part in chunks
    )
    return (
        states + ops.cast(ops.minimum(loss, 0.0), states.dtype),
        targets,
        weights,
    )


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
