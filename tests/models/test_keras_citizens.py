"""What Keras does with any model: clones, quantization, distribution."""

import functools
import os
import pathlib
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import BACKEND
from tests.backends import needs_tensorflow
from tests.backends import to_numpy
from tests.models.small_models import SIZES
from tests.models.small_models import coupled_predictor
from tests.models.small_models import graph_options
from tests.models.small_models import inputs
from tests.models.small_models import make_pretrainer
from tests.models.small_models import randomised

ROOT = pathlib.Path(__file__).parents[2]
IMAGE_SIZES = {k: v for k, v in SIZES.items() if k != "vocabulary_size"}


def image_predictor(**kwargs):
    return gk.ImageGraphPredictor(**IMAGE_SIZES, **kwargs)


def words():
    return {"word_ids": keras.layers.Embedding(9, 5)}


MODELS = {
    "predictor": lambda: gk.GraphPredictor(**SIZES),
    "coupled": coupled_predictor,
    "image predictor": lambda: image_predictor(bidirectional=True),
    "feature predictor": lambda: gk.FeaturePredictor(8, num_graph_layers=2),
    "pretrainer": make_pretrainer,
    "skip-thought pretrainer": lambda: gk.models.SkipThoughtPretrainer(
        gk.GraphPredictor(**SIZES)
    ),
    "pixel pretrainer": lambda: gk.PixelPretrainer(
        image_predictor(bidirectional=True)
    ),
    "classifier": lambda: gk.models.TextClassifier(
        words(), hidden_dim=4, **graph_options("embeddings")
    ),
    "pair classifier": lambda: gk.models.PairClassifier(
        words(), hidden_dim=4, **graph_options("states")
    ),
    "reader": lambda: gk.models.SpanReader(
        words(), gk.models.GivenGraphs(2, 3), hidden_dim=4
    ),
    "image classifier": lambda: gk.ImageClassifier(
        image_size=6, graphs=gk.models.PredictedGraphs(image_predictor())
    ),
    "uniform": lambda: gk.models.TextClassifier(
        words(), gk.layers.UniformGraph(), hidden_dim=4
    ),
}


@functools.cache
def model_and_numbers(name):
    """A model that no test changes, inputs, and what it makes of them."""
    model = randomised(MODELS[name]())
    given = inputs_of(model)
    return model, given, to_numpy(model(given))


def inputs_of(model):
    """Random inputs by the names that a model of this package has."""
    rng = np.random.default_rng(0)
    if isinstance(model, gk.FeaturePredictor):
        graph = np.tril(rng.random((2, 2, 2, 7, 7)), -1).astype("float32")
        return {
            "embeddings": rng.normal(size=(2, 7, 8)).astype("float32"),
            "forward_graphs": graph,
            "backward_graphs": graph.swapaxes(-1, -2),
        }
    of_texts = (gk.ContextPretrainer, gk.models.SkipThoughtPretrainer)
    if isinstance(model, of_texts):
        return inputs()
    if isinstance(model, gk.PixelPretrainer):
        return {"images": rng.integers(0, 256, (2, 6, 6, 3)).astype("uint8")}
    return {name: random_input(name, x, rng) for name, x in model.input.items()}


def random_input(name, tensor, rng):
    if name == "images":
        return rng.integers(0, 256, (2, 6, 6, 3)).astype("uint8")
    if name.endswith("padding_mask"):
        return np.arange(7) < np.array([[7], [4]])
    if name.endswith("graphs"):
        shape = (2, *tensor.shape[1:3], 7, 7)
        return np.tril(rng.random(shape), -1).astype("float32")
    return rng.integers(0, 9, (2, 7)).astype("int32")


SHOWN = [
    name
    if name in ("predictor", "feature predictor", "pretrainer", "uniform")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in MODELS
]


@pytest.mark.parametrize("name", SHOWN)
def test_clone_has_class_order_of_weights_and_numbers(name):
    model, given, expected = model_and_numbers(name)
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    assert [w.path for w in clone.weights] == [w.path for w in model.weights]
    clone.set_weights(model.get_weights())
    found = to_numpy(clone(given))
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=1e-6)


def test_clones_keep_vocabulary_and_tokenizer():
    predictor = gk.GraphPredictor(**SIZES)
    predictor.vocabulary = list("abcdefghi")
    predictor.tokenizer_config = {"lowercase": True}
    pretrainer = gk.ContextPretrainer(predictor)
    for clone in (
        keras.models.clone_model(predictor),
        keras.models.clone_model(pretrainer).graph_predictor,
    ):
        assert clone.vocabulary == list("abcdefghi")
        assert clone.tokenizer_config == {"lowercase": True}


@pytest.mark.parametrize("name", SHOWN)
def test_quantize_refuses_before_anything_is_changed(name):
    model, given, before = model_and_numbers(name)
    with pytest.raises(ValueError, match="cannot be quantized.*mode='int8'"):
        model.quantize("int8")
    for key, values in to_numpy(model(given)).items():
        np.testing.assert_array_equal(values, before[key])


@needs_tensorflow
@pytest.mark.parametrize(
    "name",
    [
        "predictor",
        pytest.param("uniform", marks=pytest.mark.slow),
        pytest.param("classifier", marks=pytest.mark.slow),
    ],
)
def test_export_has_the_names_and_dtypes_of_the_inputs(name, tmp_path):
    import tensorflow as tf

    model, given, expected = model_and_numbers(name)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    found = loaded.serve(given)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key].numpy(), values, atol=1e-5)


ONNX_MODELS = ["classifier", "pair classifier", "reader", "image classifier"]


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize(
    "name",
    [
        "uniform",
        *ONNX_MODELS,
    ],
)
def test_onnx_runtime_gives_the_numbers_of_the_model(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model, given, expected = model_and_numbers(name)
    before = model.get_config()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    assert model.get_config() == before
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    asked = {x.name: given[x.name] for x in session.get_inputs()}
    found = dict(zip(names, session.run(names, asked), strict=True))
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-5)


def test_onnx_of_other_precisions_is_refused(tmp_path):
    model = gk.models.TextClassifier(
        words(), hidden_dim=4, dtype="mixed_bfloat16"
    )
    with pytest.raises(ValueError, match='dtype="float32".*bfloat16'):
        model.export(tmp_path / "model.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_predictor_leaves_out_tokens():
    predictor = gk.GraphPredictor(**SIZES)
    given = {**inputs(), "tokens": np.full((2, 7), "a", object)}
    found, expected = to_numpy(predictor(given)), to_numpy(predictor(inputs()))
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no replicas there")
@pytest.mark.parametrize(
    "name",
    [
        "context_pretrainer",
        "pixel_pretrainer",
        "text_classifier",
    ],
)
def test_two_replicas_train_to_the_weights_of_one_device(name):
    result = subprocess.run(
        [sys.executable, "-m", "tests.models.two_replicas", name],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert name in result.stdout
