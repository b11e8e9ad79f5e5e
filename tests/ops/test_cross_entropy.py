import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.ops import cross_entropy
from tests import reference
from tests.backends import needs_tensorflow
from tests.backends import to_tensors
from tests.backends import value_and_gradients

TOLERANCE = 1e-5
CHUNK, WIDTH, VOCABULARY = 4, 5, 11
CANDIDATES = 6


def loss_of(*args, **kwargs):
    return cross_entropy.tied_cross_entropy(*args, **kwargs)[0]


def loss_in_chunks(*args):
    return loss_of(*args, chunk_rows=CHUNK)


def inputs(rows, seed=0):
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(rows, WIDTH)).astype("float32")
    embeddings = rng.normal(size=(VOCABULARY, WIDTH)).astype("float32")
    targets = rng.integers(0, VOCABULARY, rows).astype("int32")
    weights = rng.integers(0, 2, rows) * rng.random(rows)
    return states, embeddings, targets, weights.astype("float32")


def plain(states, embeddings, targets, weights):
    logits = ops.matmul(states, ops.transpose(embeddings))
    losses = keras.losses.sparse_categorical_crossentropy(
        targets, logits, from_logits=True
    )
    return ops.sum(ops.multiply(losses, weights))


@pytest.mark.parametrize("rows", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_value_and_gradients_equal_the_formula(rows):
    states, embeddings, targets, weights = inputs(rows)
    results = []
    for function in (plain, loss_in_chunks):

        def twice(states, embeddings, function=function):
            loss = function(states, embeddings, *to_tensors([targets, weights]))
            return 2 * loss

        results.append(value_and_gradients(twice, [states, embeddings]))
    (expected, expected_gradients), (value, gradients) = results
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, other, atol=TOLERANCE)
    logits = states.astype("float64") @ embeddings.T
    by_hand = 2 * np.sum(weights * reference.cross_entropy(logits, targets))
    np.testing.assert_allclose(value, by_hand, rtol=TOLERANCE)
    for function in (
        cross_entropy.tied_cross_entropy,
        cross_entropy.tied_cross_entropy_value,
    ):
        alone, parts = map(
            ops.convert_to_numpy,
            function(
                *to_tensors([states, embeddings, targets, weights]),
                chunk_rows=CHUNK,
            ),
        )
        np.testing.assert_allclose(2 * alone, by_hand, rtol=TOLERANCE)
        expected = weights * reference.cross_entropy(logits, targets)
        np.testing.assert_allclose(parts, expected, atol=TOLERANCE)


def test_large_logits_do_not_overflow():
    states, embeddings, targets, weights = inputs(3)
    value, gradients = value_and_gradients(
        lambda s, e: loss_of(s, e, *to_tensors([targets, weights])),
        [1e4 * states, embeddings],
    )
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_float16_holds_a_sum_over_more_words_than_its_largest_number():
    """Equal logits of 70,000 words: the target's share is next to nothing."""
    words = np.zeros((70_000, 2), "float32")
    words[7] = 1
    states = np.zeros((3, 2), "float32")

    def loss(states, words):
        return loss_of(
            ops.cast(states, "float16"),
            ops.cast(words, "float16"),
            ops.full((3,), 7, "int32"),
            ops.ones((3,)),
        )

    value, (d_states, _) = value_and_gradients(loss, [states, words])
    np.testing.assert_allclose(value, 3 * np.log(70_000), rtol=TOLERANCE)
    np.testing.assert_allclose(d_states, -np.ones((3, 2)), rtol=1e-2)


@needs_tensorflow
def test_no_array_of_all_logits_is_made():
    """In a graph with a gradient, no tensor has rows x vocabulary entries."""
    rows, vocabulary = 3 * cross_entropy.CHUNK_ROWS, 1009
    operations = _operations(rows, vocabulary)
    sizes = _sizes(operations)
    assert cross_entropy.CHUNK_ROWS * vocabulary in sizes
    assert max(sizes) < rows * vocabulary
    # The loop keeps nothing for a backward pass.
    assert not [x for x in operations if "TensorListPushBack" in x.type]


@needs_tensorflow
def test_chunks_are_equal_rather_than_the_last_one_nearly_empty():
    """Five rows with at most four in a chunk: two chunks of three."""
    vocabulary = 1009
    sizes = _sizes(_operations(CHUNK + 1, vocabulary, chunk_rows=CHUNK))
    assert 3 * vocabulary in sizes
    assert CHUNK * vocabulary not in sizes


def _operations(rows, vocabulary, **options):
    """The operations of a graph of the loss and its gradients."""
    import tensorflow as tf

    states, embeddings, targets, weights = inputs(rows)
    embeddings = np.resize(embeddings, (vocabulary, WIDTH))

    @tf.function(autograph=False)
    def gradients(states, embeddings):
        with tf.GradientTape() as tape:
            tape.watch([states, embeddings])
            loss = loss_of(
                states, embeddings, *to_tensors([targets, weights]), **options
            )
        return tape.gradient(loss, [states, embeddings])

    graph = gradients.get_concrete_function(
        tf.constant(states), tf.constant(embeddings)
    ).graph
    return [
        operation
        for one in (graph, *_functions_of(graph))
        for operation in one.get_operations()
    ]


def _sizes(operations):
    """The sizes of their outputs, where they are known."""
    return [
        output.shape.num_elements()
        for operation in operations
        for output in operation.outputs
        if output.shape.is_fully_defined()
    ]


def _functions_of(graph):
    from tensorflow.python.framework import function_def_to_graph

    library = graph.as_graph_def().library.function
    return [function_def_to_graph.function_def_to_graph(one) for one in library]


@needs_tensorflow
def test_number_of_rows_unknown_to_a_graph_changes_nothing():
    import tensorflow as tf

    states, embeddings, targets, weights = inputs(6)

    def total(states, targets, weights):
        words = tf.constant(embeddings)
        return loss_in_chunks(states, words, targets, weights)

    specs = [
        tf.TensorSpec((None, WIDTH)),
        tf.TensorSpec((None,), "int32"),
        tf.TensorSpec((None,)),
    ]
    compiled = tf.function(total, input_signature=specs, autograph=False)
    arrays = [tf.constant(x) for x in (states, targets, weights)]
    np.testing.assert_allclose(
        compiled(*arrays), total(*arrays), rtol=TOLERANCE
    )


def with_candidates(states, embeddings, targets, weights, seed):
    """The estimated loss written out, for one draw."""
    drawn, sizes = cross_entropy.draw_candidates(
        VOCABULARY, CANDIDATES, keras.random.SeedGenerator(seed)
    )
    words = ops.concatenate(
        [ops.arange(CANDIDATES // 2, dtype="int32"), drawn], 0
    )
    logits = ops.matmul(states, ops.transpose(embeddings))  # (R, V)
    total = ops.matmul(ops.exp(ops.take(logits, words, axis=1)), sizes[:, None])
    rows = ops.expand_dims(targets, 1)
    own = ops.take_along_axis(logits, rows, axis=1)
    total = total + ops.where(rows >= CANDIDATES // 2, ops.exp(own), 0.0)
    return ops.sum(weights * (ops.log(total) - own)[:, 0])


@pytest.mark.parametrize("rows", [1, CHUNK, 2 * CHUNK + 1])
def test_candidates_value_and_gradients_equal_the_formula(rows):
    states, embeddings, targets, weights = inputs(rows)
    targets, weights = to_tensors([targets, weights])
    expected, expected_gradients = value_and_gradients(
        lambda s, e: with_candidates(s, e, targets, weights, seed=5),
        [states, embeddings],
    )
    value, gradients = value_and_gradients(
        lambda s, e: loss_of(
            s,
            e,
            targets,
            weights,
            CANDIDATES,
            keras.random.SeedGenerator(5),
            chunk_rows=CHUNK,
        ),
        [states, embeddings],
    )
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, other, atol=TOLERANCE)


def test_candidates_stand_for_all_words_on_average():
    """The estimated sum of anything over the vocabulary is unbiased."""
    values = np.random.default_rng(0).random(VOCABULARY)
    seed = keras.random.SeedGenerator(0)
    sums = []
    for _ in range(100):
        drawn, sizes = map(
            ops.convert_to_numpy,
            cross_entropy.draw_candidates(VOCABULARY, CANDIDATES, seed),
        )
        assert sizes.sum() == VOCABULARY
        assert sorted(set(drawn)) == list(drawn)
        assert drawn.min() >= CANDIDATES // 2 and drawn.max() < VOCABULARY
        words = [*range(CANDIDATES // 2), *drawn]
        sums.append(sizes @ values[words])
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - values.sum()) < 4 * error


def test_candidates_of_a_large_vocabulary_are_words_of_it():
    count, words = 8_192, 793_471  # ELMo's: their product is above 2^31
    drawn, sizes = map(
        ops.convert_to_numpy,
        cross_entropy.draw_candidates(
            words, count, keras.random.SeedGenerator(0)
        ),
    )
    assert drawn.min() >= count // 2 and drawn.max() < words
    assert np.all(np.diff(drawn) > 0)
    assert sizes.sum(dtype="float64") == words


def test_as_many_candidates_as_words_are_the_softmax():
    tensors = to_tensors(inputs(5))
    losses = [
        loss_of(*tensors, candidates)
        for candidates in (None, VOCABULARY, 10 * VOCABULARY)
    ]
    assert len({float(loss) for loss in losses}) == 1
