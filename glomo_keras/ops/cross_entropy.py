"""Softmax cross entropy over a large vocabulary, without keeping logits."""

import keras
from keras import ops

CHUNK_ROWS = 512
CHUNK_LOGITS = 2**25


def tied_cross_entropy(
    states, embeddings, targets, weights, num_candidates=None, seed=None
):
    """Sum over rows of `-weight * log softmax(state @ embeddings.T)[target]`.

    The rows are worked off in equal chunks of at most `CHUNK_ROWS` rows and
    `CHUNK_LOGITS` logits; the gradient of each chunk is taken on the way, so
    that no `(R, V)` array is kept for the backward pass and no logit is
    computed twice. Logits, softmax and sums are float32; the matrix products
    run in the dtype of `states`.

    With `num_candidates` the sum of the softmax is estimated from that many
    words, see `draw_candidates`, and the target's own share.

    Args:
        states: tensor `(R, d)`.
        embeddings: tensor `(V, d)`, the same dtype.
        targets: integer tensor `(R,)`.
        weights: float32 tensor `(R,)`.
        num_candidates: integer or None (all V words).
        seed: `keras.random.SeedGenerator`, of the candidates.

    Returns:
        `(loss, parts)`: the sum, a float32 scalar, and what each row adds to
        it, `(R,)`. Only the sum has a gradient.
    """
    if num_candidates is None or num_candidates >= embeddings.shape[0]:
        counts = ops.zeros_like(weights)
        return _recorded_loss((states, embeddings), targets, counts, weights)
    drawn, sizes = draw_candidates(embeddings.shape[0], num_candidates, seed)
    sure = num_candidates // 2
    candidates = ops.concatenate(
        [embeddings[:sure], ops.take(embeddings, drawn, axis=0)], axis=0
    )
    own = ops.take(embeddings, targets, axis=0)  # (R, d)
    counts = ops.cast(targets >= sure, "float32")
    return _recorded_loss(
        (states, candidates, own), targets, counts, weights, sizes
    )


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
    steps = ops.arange(strata + 1, dtype="int32")
    edges = sure + steps * (vocabulary_size - sure) // strata
    sizes = ops.cast(edges[1:] - edges[:-1], "float32")
    offsets = (
        keras.random.uniform((strata,), dtype="float32", seed=seed) * sizes
    )
    drawn = edges[:-1] + ops.cast(offsets, edges.dtype)
    drawn = ops.minimum(drawn, edges[1:] - 1)
    return drawn, ops.concatenate([ops.ones((sure,), "float32"), sizes], 0)


def tied_cross_entropy_value(states, embeddings, targets, weights):
    """What `tied_cross_entropy` returns, for a third of the work."""
    chunks = _chunks(embeddings.shape[0], states, targets, weights)

    def add_chunk(index, parts):
        states, targets, weights = _take_chunk(chunks, index, parts)
        losses, *_ = _softmax(
            states, embeddings, ops.take(embeddings, targets, axis=0)
        )
        return (_put(parts, index, weights * losses),)

    zeros = ops.zeros(ops.shape(chunks[-1]), "float32")
    (parts,) = _for_each_chunk(chunks, add_chunk, (zeros,))
    parts = _join_chunks(parts, states)
    return ops.sum(parts), parts


def _recorded_loss(tensors, *numbers):
    """The loss, which computes its gradients with its value.

    Args:
        tensors: tuple that the gradients are of: states, words and, where
            the target's word is not one of these, the targets' own.
        *numbers: as `_loss_and_gradients` takes them.
    """

    @ops.custom_gradient
    def record(*tensors):
        parts, *gradients = _loss_and_gradients(*tensors, numbers=numbers)

        def grad(*args, upstream=None):
            scale = (args[0] if upstream is None else upstream)[0]
            return tuple(
                ops.cast(scale * gradient, tensors[0].dtype)
                for gradient in gradients
            )

        # One output, since PyTorch's functions with a gradient of their own
        # have one in Keras.
        return ops.concatenate([ops.sum(parts, keepdims=True), parts]), grad

    record = record(*tensors)
    return record[0], ops.stop_gradient(record[1:])


def _loss_and_gradients(states, words, own=None, *, numbers):
    """What each row adds to the loss, and the gradients of their sum.

    Args:
        states: tensor `(R, d)`.
        words: tensor `(W, d)`, all words or candidates.
        own: tensor `(R, d)`, the targets' words; None if all words are there.
        numbers: the targets, `own_counts` of `_softmax`, the weights, each
            `(R,)`, and with candidates `sizes` of `_softmax`.

    Returns:
        List: float32 `(R,)`, and gradients like the tensors.
    """
    targets, own_counts, weights, *sizes = numbers
    sizes = sizes[0] if sizes else None
    chunks = _chunks(
        words.shape[0],
        *(states, targets, own_counts, weights),
        *(() if own is None else (own,)),
    )
    sized = _times_sizes(words, sizes)

    def add_chunk(index, parts, d_states, d_words, pulls):
        chunk = _take_chunk(chunks, index, d_words)
        part, d_chunk, d_chunk_words, pull = _chunk_gradients(
            *chunk, words=words, sized=sized, sizes=sizes
        )
        return (
            _put(parts, index, part),
            _put(d_states, index, d_chunk),
            d_words + d_chunk_words,
            _put(pulls, index, pull),
        )

    parts, d_states, d_words, pulls = _for_each_chunk(
        chunks,
        add_chunk,
        tuple(
            _zeros(ops.shape(x), weights)
            for x in (chunks[3], chunks[0], words, chunks[3])
        ),
    )
    parts, d_states, pulls = (
        _join_chunks(x, states) for x in (parts, d_states, pulls)
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
    """What a chunk adds to the loss and to its gradients, in float32.

    Returns:
        What each row adds, `(chunk,)`; the gradients of the states and of
        the words; and by what to multiply the target's own word for what it
        still adds to that of the state, and the state for that of the word.
    """
    one_of_words = own is None
    own = ops.take(words, targets, axis=0) if one_of_words else own
    losses, exp, total, own_exp = _softmax(
        states, words, own, own_counts, sizes
    )
    if keras.backend.standardize_dtype(states.dtype) == "float16":
        # Its largest number is less than a sum over many words.
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
    """Each row times its number; None stands for 1."""
    if sizes is None:
        return rows
    return rows * ops.cast(ops.expand_dims(sizes, 1), rows.dtype)


def _softmax(states, words, own, own_counts=0.0, sizes=None):
    """The losses of rows and what their gradients are made of.

    Args:
        states: tensor `(R, d)`.
        words: tensor `(W, d)`.
        own: tensor `(R, d)`, the targets' words.
        own_counts: 1 where the target is not one of the words, else 0.
        sizes: float32 `(W,)`, how many words each stands for, or None.

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
    """`(R, W)` with a value in the column of each row's target.

    Softmax minus one-hot, the gradient of a logit, without an array of the
    latter.
    """
    rows = ops.arange(ops.shape(exp)[0], dtype="int32")
    places = ops.stack([rows, ops.cast(targets, "int32")], axis=1)
    return ops.scatter_update(exp, places, values)


def _zeros(shape, number):
    """Zeros that wait for a tensor of numbers.

    TensorFlow keeps zeros of a known shape as constants of its graph, in
    memory from the first step to the last.
    """
    return ops.broadcast_to(_nothing(number), shape)


def _nothing(tensor):
    """Zero, to be had once a tensor is computed."""
    first = ops.reshape(tensor, (-1,))[0]
    return ops.cast(ops.minimum(ops.abs(first), 0.0), "float32")


def _chunks(num_words, *tensors):
    """Each tensor's rows in chunks, `(n, chunk, ...)`.

    The last chunk is filled up with zeros; a row of weight 0 adds nothing.
    """
    num_rows = ops.shape(tensors[0])[0]
    most = max(1, min(CHUNK_ROWS, CHUNK_LOGITS // num_words))
    count = (num_rows + most - 1) // most
    # Equal chunks: filled up to `most`, the last could be mostly zeros.
    size = (num_rows + count - 1) // count
    missing = count * size - num_rows
    return [
        ops.reshape(
            ops.pad(x, ((0, missing), *((0, 0),) * (len(x.shape) - 1))),
            (-1, size, *x.shape[1:]),
        )
        for x in tensors
    ]


def _join_chunks(chunks, like):
    """`(n, chunk, ...)` -> `(R, ...)`, as many rows as `like` has."""
    rows = ops.reshape(chunks, (-1, *chunks.shape[2:]))
    return rows[: ops.shape(like)[0]]


def _put(chunks, index, values):
    start = (index, *(0,) * (len(chunks.shape) - 1))
    return ops.slice_update(chunks, start, ops.expand_dims(values, 0))


def _take_chunk(chunks, index, after):
    """One chunk, made to wait for a tensor of the chunks before it.

    The wait, an addition of 0, keeps TensorFlow from computing the logits of
    several loop iterations at the same time.
    """
    states, *others = (ops.take(chunk, index, axis=0) for chunk in chunks)
    return states + ops.cast(_nothing(after), states.dtype), *others


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
