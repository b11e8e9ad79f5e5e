import json

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
from tests.models.small_models import randomised
from tests.models.test_image_graph_predictor import SIZES

SIZE = 8


def images(count=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3)).astype("uint8")


def small_predictor(**kwargs):
    return randomised(gk.ImageGraphPredictor(**{**SIZES, **kwargs}))


def predicted(**kwargs):
    return gk.models.PredictedGraphs(small_predictor(**kwargs))


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [
        (18, 11_173_962),
        pytest.param(34, 21_282_122, marks=pytest.mark.slow),
    ],
)
def test_parameters_are_those_of_the_cifar_form(depth, parameters):
    model = gk.ImageClassifier(depth=depth)
    assert count(model.trainable_weights) == parameters
    norms = [x for x in model.layers if x.name.endswith("_norm")]
    channels = sum(x.gamma.shape[0] for x in norms)
    assert model.count_params() == parameters + 2 * channels


@pytest.mark.parametrize(
    "graph", ["predicted", pytest.param("uniform", marks=pytest.mark.slow)]
)
def test_model_and_model_on_messages_are_the_same(graph):
    graphs = gk.layers.UniformGraph()
    if graph == "predicted":
        graphs = predicted(bidirectional=True)
    model = gk.ImageClassifier(
        image_size=SIZE,
        graphs=graphs,
        transfer=gk.layers.MessageTransfer(num_mixtures=2, units=5),
    )
    for weight in model.transfer.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    x = {"images": images()}
    messages = to_numpy(model.message_model()(x))
    half = {name: m.astype("float16") for name, m in messages.items()}
    found = to_numpy(model.on_messages()({**x, **half}))["logits"]
    expected = to_numpy(model(x))["logits"]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)
    assert np.ptp(expected) > 0.1
    # The predictor is frozen, and no part of what is trained.
    trained = {id(w) for w in model.trainable_weights}
    assert trained == {id(w) for w in model.on_messages().trainable_weights}


@pytest.mark.slow
def test_uniform_messages_are_those_of_the_uniform_graph():
    model = gk.ImageClassifier(image_size=SIZE, graphs=gk.layers.UniformGraph())
    features = np.random.default_rng(0).normal(size=(2, 9, 3))
    features = features.astype("float32")
    graphs = gk.layers.UniformGraph()(np.ones((2, 9), "bool"))
    del graphs["backward_graphs"]
    expected = gk.layers.GraphMessages()(features, graphs)
    found = model.messages(features)
    assert sorted(found) == sorted(expected)
    for name, values in found.items():
        np.testing.assert_allclose(
            to_numpy(values), to_numpy(expected[name]), atol=1e-5
        )


def test_messages_are_graphs_times_normalised_pixels():
    predictor = small_predictor()
    model = gk.ImageClassifier(
        image_size=SIZE, graphs=gk.models.PredictedGraphs(predictor)
    )
    x = images(1)
    graph = to_numpy(predictor({"images": x}))["forward_graphs"][0]
    mean = np.array([0.4914, 0.4822, 0.4465])
    deviation = np.array([0.2023, 0.1994, 0.2010])
    pixels = ((x[0] / 255 - mean) / deviation).reshape(-1, 3)
    found = to_numpy(model.message_model()({"images": x}))
    expected = [
        *(graph[0] @ pixels),
        *(graph[1] @ pixels),
        *(graph[1] @ graph[0] @ pixels),
    ]
    np.testing.assert_allclose(
        found["forward_messages"][0], expected, atol=1e-4
    )


@pytest.mark.slow
def test_file_round_trip(tmp_path):
    model = gk.ImageClassifier(
        image_size=SIZE,
        graphs=predicted(),
        num_classes=3,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    first, second = (
        json.dumps(x.get_config(), default=list) for x in (model, loaded)
    )
    assert first == second
    assert loaded.trainable_weights
    assert not loaded.graphs.predictor.trainable_weights
    x = {"images": images()}
    np.testing.assert_array_equal(
        to_numpy(loaded(x))["logits"], to_numpy(model(x))["logits"]
    )
    model.trainable = False
    frozen = gk.ImageClassifier.from_config(model.get_config())
    assert not frozen.trainable_weights


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"depth": 50}, "`depth` must be one of.*Received: depth=50"),
        ({"image_size": 0}, "`image_size` must be"),
        ({"graphs": gk.layers.UniformGraph("all")}, "edges='all'"),
        ({"graphs": gk.layers.DistanceDecayGraph()}, "made from images"),
        ({"transfer": gk.layers.MessageTransfer()}, "give `graphs` too"),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gk.ImageClassifier(**{"image_size": SIZE, **kwargs})


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("part", ["message_model", "on_messages", "network"])
def test_every_part_refuses_images_that_are_no_bytes(part, dtype):
    """Keras casts what a functional model is given: [0, 1] would be black."""
    model = gk.ImageClassifier(image_size=SIZE, graphs=gk.layers.UniformGraph())
    messages = model.message_model()({"images": images()})
    part = model.network if part == "network" else getattr(model, part)()
    given = {"images": images().astype(dtype), **messages}
    given = {name: given[name] for name in part.input}
    message = f"an integer dtype.*Received: images.dtype=.*{dtype}"
    forms = [given, [given[name] for name in sorted(given)]]
    if len(given) == 1:
        forms.append(given["images"])
    for inputs in forms:
        with pytest.raises(ValueError, match=message):
            part(inputs)
    with pytest.raises(ValueError, match=message):
        part.predict_on_batch(given)


def test_model_without_graphs_has_no_messages():
    model = gk.ImageClassifier(image_size=SIZE)
    with pytest.raises(ValueError, match="no messages.*graphs=None"):
        model.on_messages()
