import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import GraphTransfer
from tests import reference
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import factors
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
DIRECTIONS = ("forward", "backward")


def factored(length=7):
    return {
        f"{direction}_graphs": factors(
            seed=seed, length=length, direction=direction
        )
        for seed, direction in enumerate(DIRECTIONS)
    }


def materialised(**kwargs):
    return {
        name: reference.graph(made).astype("float32")
        for name, made in factored(**kwargs).items()
    }


@pytest.mark.parametrize(
    ("kwargs", "graphs", "width", "num_weights"),
    [
        ({}, materialised(), 16, 7),
        pytest.param(
            {"num_mixtures": 3, "units": 5},
            factored(),
            13,
            7,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"conditioned": True, "dropout": 0.1, "seed": 1},
            {"backward_graphs": factored()["backward_graphs"]},
            16,
            7,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_layer(tmp_path, kwargs, graphs, width, num_weights):
    run_layer_test(
        GraphTransfer,
        kwargs,
        {"features": features(), "graphs": graphs},
        tmp_path,
        (2, 7, width),
        num_weights,
    )


def randomised(layer):
    layer.build((2, 7, 8), {k: v.shape for k, v in materialised().items()})
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 3)
    return layer


@pytest.mark.parametrize("num_mixtures", [1, 3])
@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("include_products", [True, False])
def test_both_forms_equal_the_formula(
    num_mixtures, conditioned, include_products
):
    layer = randomised(
        GraphTransfer(num_mixtures, conditioned, include_products)
    )
    x = features()
    graphs = materialised()
    sums = []
    for direction in DIRECTIONS:
        mixture = layer.mixtures[direction]
        logits = to_numpy(mixture.logits).astype("float64")
        if conditioned:
            logits = logits + np.einsum(
                "btd,ndm->btnm", x, to_numpy(mixture.kernel)
            )
        mixed = reference.mix(
            graphs[f"{direction}_graphs"], logits, include_products
        )
        sums.append(mixed @ x[:, None].astype("float64"))
    scales = to_numpy(layer.scales)
    parts = [
        scales[index, n] * sums[index][:, n]
        for n in range(num_mixtures)
        for index in range(2)
    ]
    joined = np.concatenate([x, *parts], -1)
    w1, b1, w2, b2 = (to_numpy(w) for w in layer.fusion.weights)
    gated = (joined @ w1 + b1) * reference.sigmoid(joined @ w2 + b2)
    expected = np.concatenate([x, gated], -1)
    for form in (factored(), graphs):
        fused = to_numpy(layer(x, form))
        np.testing.assert_allclose(fused, expected, atol=TOLERANCE)


def transfer_model(length, max_length=None):
    """A model of features and factored graphs; the length may be None."""
    shapes = {"queries": (2, 4), "past_keys": (2, 4), "thresholds": (2,)}
    graph = {
        name: keras.Input((2, shape[0], length, *shape[1:]), name=name)
        for name, shape in shapes.items()
    }
    graph["padding_mask"] = keras.Input((length,), dtype="bool", name="mask")
    h = keras.Input((length, 8), name="features")
    fused = GraphTransfer(max_length=max_length)(h, {"forward_graphs": graph})
    return keras.Model([h, graph], keras.layers.Dense(1)(fused))


@needs_tensorflow
def test_where_xla_cannot_train_it_is_not_chosen():
    """A loop over an unknown number of blocks has no gradient there."""
    for length, max_length, fine in (
        (None, None, False),
        (None, 4096, False),
        (None, 20, True),
        (7, None, True),
    ):
        model = transfer_model(length, max_length)
        assert all(x.supports_jit for x in model._flatten_layers()) == fine
    with pytest.warns(UserWarning, match="jit_compile"):
        transfer_model(None).compile("sgd", "mse", jit_compile=True)


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.filterwarnings("ignore:.*jit_compile")
def test_model_of_an_unknown_length_trains_where_xla_was_asked_for():
    model = transfer_model(None)
    model.compile("sgd", "mse", jit_compile=True)
    for length in (5, 7):
        given = {
            name: np.ones([2 if n is None else n for n in shape], "float32")
            for name, shape in {
                "queries": (2, 2, 2, length, 4),
                "past_keys": (2, 2, 2, length, 4),
                "thresholds": (2, 2, 2, length),
            }.items()
        }
        given["padding_mask"] = np.ones((2, length), bool)
        h = np.ones((2, length, 8), "float32")
        loss = model.train_on_batch([h, given], np.ones((2, length, 1)))
        assert np.isfinite(loss)


def test_transfer_of_three_positions_by_hand():
    graph = np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0]], "float32")
    graphs = {
        "forward_graphs": graph[None, None, None],
        "backward_graphs": graph.T[None, None, None],
    }
    h = np.array([[[2.0], [4.0], [6.0]]], "float32")
    layer = GraphTransfer()
    layer.build(h.shape, {k: v.shape for k, v in graphs.items()})
    layer.fusion.value_dense.kernel.assign([[0.0], [1.0], [10.0]])
    layer.fusion.gate_dense.kernel.assign(np.zeros((3, 1)))  # half open
    layer.scales.assign([[1.0], [2.0]])
    # Forward sums 0, 2, 3; backward 1 * 4 + 0.5 * 6 = 7, 0.5 * 6 = 3, 0.
    expected = [[[2, 70], [4, 31], [6, 1.5]]]
    np.testing.assert_allclose(to_numpy(layer(h, graphs)), expected, atol=1e-5)


@pytest.mark.parametrize("form", [materialised, factored])
def test_what_stands_in_padding_changes_no_real_position(form):
    layer = randomised(GraphTransfer(2, conditioned=True))
    x, mask = features(), padding_mask()
    other = np.where(mask[..., None], x, 1e3).astype("float32")
    expected, found = (to_numpy(layer(values, form())) for values in (x, other))
    np.testing.assert_array_equal(found[mask], expected[mask])


def test_a_graph_under_the_other_directions_name_is_refused():
    graphs = {"forward_graphs": factored()["backward_graphs"]}
    with pytest.raises(ValueError, match="must be a forward.*Received: "):
        GraphTransfer()(features(), graphs)


@pytest.mark.parametrize("form", ["materialised", "factored"])
@pytest.mark.parametrize("length", [1, 7])
def test_gradient_is_finite_on_empty_rows(form, length):
    graphs = factored(length=length)
    for made in graphs.values():
        made["padding_mask"][1] = False
    if form == "materialised":
        graphs = {
            name: reference.graph(made).astype("float32")
            for name, made in graphs.items()
        }
    layer = GraphTransfer(2, conditioned=True)
    value, (gradient,) = value_and_gradients(
        lambda x: ops.sum(ops.square(layer(x, graphs))),
        [features(length=length)],
    )
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_same_seed_gives_the_same_dropout_and_directions_differ():
    def run(seed):
        keras.utils.set_random_seed(0)
        layer = GraphTransfer(2, conditioned=True, dropout=0.5, seed=seed)
        outputs = to_numpy(layer(features(), factored(), training=True))
        drawn = [
            to_numpy(
                mixture.dropout_layer(np.ones((1, 2, 1, 64)), training=True)
            )
            for mixture in layer.mixtures.values()
        ]
        return outputs, drawn

    first, (forward, backward) = run(4)
    np.testing.assert_array_equal(run(4)[0], first)
    assert np.any(run(5)[0] != first)
    assert np.any(forward != backward)


@pytest.mark.parametrize(
    "graphs", [{}, {"graphs": np.zeros((2, 3, 4, 7, 7))}, factors()]
)
def test_graphs_that_are_no_such_dict_are_refused(graphs):
    with pytest.raises(ValueError, match="`graphs` must be a dict.*Received: "):
        GraphTransfer()(features(), graphs)


@pytest.mark.parametrize(
    ("built", "called"),
    [(DIRECTIONS, ("forward",)), (("forward",), ("backward",))],
)
def test_other_directions_than_at_first_are_refused(built, called):
    first, then = (
        {f"{d}_graphs": materialised()[f"{d}_graphs"] for d in directions}
        for directions in (built, called)
    )
    layer = GraphTransfer()
    layer(features(), first)
    count = len(layer.weights)
    with pytest.raises(ValueError, match="directions.*built with.*Received: "):
        layer(features(), then)
    assert len(layer.weights) == count


@pytest.mark.parametrize(
    ("x", "graph", "message"),
    [
        ((2, 6, 8), (2, 3, 4, 7, 7), "same length T"),
        ((2, 7), (2, 3, 4, 7, 7), "`features` must have shape"),
        ((2, 7, 8), (2, 4, 7, 7), "graphs` must have shape"),
    ],
)
def test_wrong_shapes_are_refused(x, graph, message):
    graphs = {"forward_graphs": np.zeros(graph, "float32")}
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        GraphTransfer()(np.zeros(x, "float32"), graphs)


@pytest.mark.parametrize(
    "options",
    [{"num_mixtures": 0}, {"dropout": 2.0}, {"units": 0}],
)
def test_unknown_options_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be.*Received: "):
        GraphTransfer(**options)
