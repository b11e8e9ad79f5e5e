import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import GraphWeightedSum
from tests import reference
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def graph():
    return reference.graph(factors(layers=None)).astype("float32")


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("materialised", marks=pytest.mark.slow),
        "factored",
        pytest.param("one head", marks=pytest.mark.slow),
    ],
)
def test_layer(tmp_path, form):
    graphs = {
        "materialised": graph(),
        "factored": factors(layers=None),
        "one head": graph()[:, 0],
    }
    run_layer_test(
        GraphWeightedSum,
        {},
        {"features": features(), "graph": graphs[form]},
        tmp_path,
        (2, 7, 8),
        num_weights=0,
    )


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_factored_equals_materialised(direction):
    layer = GraphWeightedSum()
    made = factors(layers=None, direction=direction)
    whole = reference.graph(made)
    expected = reference.weighted_sum(whole, features())
    for form in (made, whole.astype("float32")):
        np.testing.assert_allclose(
            to_numpy(layer(features(), form)), expected, atol=TOLERANCE
        )


def test_sum_of_three_positions_by_hand():
    heads = [
        [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]],
        [[0, 0, 0], [0, 0, 0], [0.25, 0.75, 0]],
    ]
    x = np.array([[[2, 8], [4, 16], [9, 9]]], "float32")
    total = GraphWeightedSum()(x, np.array([heads], "float32"))
    np.testing.assert_allclose(to_numpy(total), [[[0, 0], [2, 0], [3, 14]]])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_positions_are_rows(dtype):
    positions = np.array([6, 1, 1, 0, -1, -7], dtype)
    for form in (graph(), factors(layers=None)):
        layer = GraphWeightedSum()
        whole = to_numpy(layer(features(), form))
        some = to_numpy(layer(features(), form, positions=positions))
        np.testing.assert_allclose(some, whole[:, positions], atol=1e-6)


def test_positions_of_a_graph_with_some_rows_are_its_rows():
    layer = GraphWeightedSum()
    some = layer(features(), graph()[:, :, 3:6])
    last = layer(features(), graph()[:, :, 3:6], positions=np.array([-1]))
    np.testing.assert_allclose(to_numpy(last), to_numpy(some)[:, 2:], atol=1e-6)


def test_positions_of_factors_that_have_their_own_are_refused():
    some = factors(layers=None)
    for name in ("queries", "thresholds"):
        some[name] = some[name][:, :, :2]
    some["positions"] = np.array([3, 4])
    with pytest.raises(ValueError, match="choose rows of a whole graph"):
        GraphWeightedSum()(features(), some, positions=np.array([4]))


def test_positions_of_masked_features_can_be_pooled():
    x = keras.layers.Masking()(features() * padding_mask()[..., None])
    total = GraphWeightedSum()(x, graph(), positions=np.array([6, 1]))
    pooled = keras.layers.GlobalAveragePooling1D()(total)
    np.testing.assert_allclose(
        to_numpy(pooled), to_numpy(total).mean(1), atol=TOLERANCE
    )


@pytest.mark.parametrize("form", ["materialised", "factored"])
@pytest.mark.parametrize("length", [1, 7])
def test_gradient_is_finite_on_empty_rows(form, length):
    made = factors(layers=None, length=length)
    made["padding_mask"][1] = False
    whole = reference.graph(made).astype("float32")
    layer = GraphWeightedSum()

    def total(x, queries):
        used = whole if form == "materialised" else {**made, "queries": queries}
        return ops.sum(ops.square(layer(x, used)))

    value, gradients = value_and_gradients(
        total, [features(length=length), made["queries"]]
    )
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_beyond_512_positions_numbers_and_gradients_are_the_same():
    length = 520
    made = factors(None, 2, length, 3, batch=1, mask=False)
    whole = reference.graph(made).astype("float32")
    layer = GraphWeightedSum()
    x = features(4, length, batch=1)
    results = [
        value_and_gradients(
            lambda x, form=form: ops.sum(ops.square(layer(x, form))), [x]
        )
        for form in (made, whole)
    ]
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=TOLERANCE)
    np.testing.assert_allclose(
        results[0][1][0], results[1][1][0], atol=TOLERANCE
    )


@needs_tensorflow
@pytest.mark.parametrize(
    "length", [pytest.param(7, marks=pytest.mark.slow), 520]
)
def test_fit_with_a_length_unknown_to_the_model(length):
    made = factors(None, 2, length, 3, batch=1, mask=False)
    inputs = {
        "features": keras.Input((None, 4), name="features"),
        "graph": {
            "queries": keras.Input((2, None, 3)),
            "past_keys": keras.Input((2, None, 3)),
            "thresholds": keras.Input((2, None)),
        },
    }
    outputs = GraphWeightedSum()(**inputs)
    outputs = keras.layers.Dense(1)(outputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss="mse")
    x = {"features": features(4, length, batch=1), "graph": made}
    expected = model(x)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected, atol=TOLERANCE
    )
    history = model.fit(x, np.ones((1, length, 1)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(
    ("x", "form", "message"),
    [
        ((2, 7), (2, 4, 7, 7), "`features` must have shape"),
        ((2, 7, 8), (2, 1, 4, 7, 7), "`graph` must have shape"),
        ((2, 7, 8), (2, 4, 6, 6), "same length T"),
        ((2, 7, 8), (2, 4, 7, 6), "same length T"),
        ((2, 7, 8), (2, 3, 7, 7), "heads must divide the width"),
    ],
)
def test_wrong_shapes_are_refused(x, form, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GraphWeightedSum()(np.zeros(x, "float32"), np.zeros(form, "float32"))
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GraphWeightedSum().compute_output_shape(x, form)


def test_factors_without_heads_are_refused():
    made = {
        name: x[:, 0] for name, x in factors(layers=None, mask=False).items()
    }
    with pytest.raises(ValueError, match="`graph` must have shape.*Received: "):
        GraphWeightedSum()(features(7), made)
