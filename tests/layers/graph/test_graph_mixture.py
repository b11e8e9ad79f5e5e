import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import GraphMixture
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5


def graphs(direction="forward"):
    return reference.graph(factors(direction=direction)).astype("float32")


@pytest.mark.parametrize(
    ("kwargs", "names", "shape", "num_weights"),
    [
        pytest.param({}, ["graphs"], (2, 7, 7), 1, marks=pytest.mark.slow),
        pytest.param(
            {"num_mixtures": 3},
            ["graphs"],
            (2, 3, 7, 7),
            1,
            marks=pytest.mark.slow,
        ),
        (
            {"conditioned": True, "include_products": False, "dropout": 0.1},
            ["graphs", "features"],
            (2, 7, 7),
            2,
        ),
    ],
)
@pytest.mark.parametrize(
    "factored", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_layer(tmp_path, kwargs, names, shape, num_weights, factored):
    inputs = {"graphs": factors() if factored else graphs()}
    if "features" in names:
        inputs["features"] = features()
    run_layer_test(GraphMixture, kwargs, inputs, tmp_path, shape, num_weights)


@pytest.mark.parametrize("num_mixtures", [1, 3])
@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("include_products", [True, False])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_both_forms_equal_the_formula(
    num_mixtures, conditioned, include_products, direction
):
    layer = GraphMixture(num_mixtures, conditioned, include_products)
    x = features()
    layer.build((2, 3, 4, 7, 7), (2, 7, 8))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    logits = to_numpy(layer.logits).astype("float64")
    if conditioned:
        kernel = to_numpy(layer.kernel)
        logits = np.einsum("btd,ndm->btnm", x, kernel) + logits
    mixed = reference.mix(graphs(direction=direction), logits, include_products)
    expected = mixed @ x[:, None].astype("float64")
    if num_mixtures == 1:
        mixed, expected = mixed[:, 0], expected[:, 0]
    for form in (
        factors(direction=direction),
        graphs(direction=direction),
    ):
        graph, total = layer(form, x), layer.weighted_sum(form, x)
        np.testing.assert_allclose(to_numpy(graph), mixed, atol=TOLERANCE)
        np.testing.assert_allclose(to_numpy(total), expected, atol=TOLERANCE)


def test_mixture_of_three_positions_by_hand():
    chain = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    first = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    layer = GraphMixture()
    graph = np.array([first, chain], "float32")[None, :, None]
    layer.build(graph.shape)
    layer.logits.assign(np.log([[0.5, 0.25, 0.25]]))  # of G1, G2, G2 G1
    expected = [[0, 0, 0], [0.75, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(to_numpy(layer(graph))[0], expected, atol=1e-6)
    x = np.array([[[4.0], [8.0], [1.0]]], "float32")
    total = layer.weighted_sum(graph, x)
    np.testing.assert_allclose(to_numpy(total)[0, :, 0], [0, 3, 6], atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("conditioned", [True, False])
def test_what_stands_in_padding_changes_no_real_position(
    conditioned, direction
):
    layer, mask = GraphMixture(2, conditioned), padding_mask()
    made = factors(direction=direction)
    x = features()
    other = np.where(mask[..., None], x, 7.0).astype("float32")
    expected, found = (
        to_numpy(layer.weighted_sum(made, values)) for values in (x, other)
    )
    real = mask[:, None, :, None]
    np.testing.assert_array_equal(found * real, expected * real)


def test_a_weighted_sum_builds_the_layer():
    layer = GraphMixture(conditioned=True)
    assert layer.weighted_sum(factors(), features()).shape == (2, 7, 8)
    assert len(layer.weights) == 2


@pytest.mark.parametrize("length", [1, 7])
def test_gradient_is_finite_on_empty_rows(length):
    made = factors(length=length)
    made["padding_mask"][1] = False
    layer = GraphMixture(conditioned=True)

    def total(x, queries):
        gathered = layer.weighted_sum({**made, "queries": queries}, x)
        return ops.sum(ops.square(gathered))

    value, gradients = value_and_gradients(
        total, [features(length=length), made["queries"]]
    )
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_dropout_acts_in_training_and_follows_its_seed():
    def weights(seed):
        keras.utils.set_random_seed(0)
        layer = GraphMixture(2, conditioned=True, dropout=0.5, seed=seed)
        layer(graphs(), features())
        return to_numpy(layer.mixture_weights(features(), training=True))

    np.testing.assert_array_equal(weights(3), weights(3))
    assert np.any(weights(3) != weights(4))
    layer = GraphMixture(conditioned=True, dropout=0.5)
    results = [to_numpy(layer(graphs(), features())) for _ in range(2)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_mixtures": 0}, "`num_mixtures` must be a positive integer"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GraphMixture(**options)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4, 7, 7)], "`graphs` must have shape"),
        ([(2, 3, 4, 7, 6)], "same length T"),
        ([(2, 3, 4, 7, 7), (2, 6, 8)], "same length T"),
        ([(2, 3, 4, 7, 7), (2, 7)], "`features` must have shape"),
    ],
)
def test_wrong_shapes_are_refused(shapes, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GraphMixture()(*[np.zeros(shape, "float32") for shape in shapes])


@pytest.mark.parametrize("built", [False, True])
def test_conditioned_mixture_needs_features(built):
    layer = GraphMixture(conditioned=True)
    if built:
        layer(graphs(), features())
    with pytest.raises(ValueError, match="conditioned mixture needs"):
        layer(graphs())


@pytest.mark.parametrize(
    "sizes", [{"layers": 2}, {"heads": 3}, {"layers": 2, "heads": 6}]
)
@pytest.mark.parametrize("products", [False, True])
def test_another_number_of_graphs_is_refused(sizes, products):
    """Two layers of six heads are as many terms as three of four."""
    layer = GraphMixture(include_products=products)
    layer(graphs())
    with pytest.raises(ValueError, match="built with, L=3, K=4.*Received: "):
        layer(factors(**sizes))


def test_unknown_numbers_of_layers_and_heads_are_refused():
    with pytest.raises(ValueError, match="known numbers of layers and heads"):
        GraphMixture()(keras.Input((None, None, None, None)))
