import numpy as np
import pytest
import tensorflow as tf

import glomo_keras as gk
from benchmarks.pretraining import count_parameters
from examples import glomo_in_one_file as one_file
from tests.models.small_models import SIZES
from tests.models.small_models import inputs
from tests.models.small_models import small_pretrainer

TOLERANCE = 1e-5


def copied(package):
    """The model of the example with the weights of the package's."""
    model = one_file.Pretrainer(**SIZES)
    model(inputs())
    values = {w.path: np.array(w.value) for w in package.weights}
    model.token_embedding.embeddings.assign(
        values["token_embedding/embeddings"]
    )
    for direction, one_way in (
        ("forward", model.from_left),
        ("backward", model.from_right),
    ):
        copy_graphs(direction, one_way.g, values)
        copy(values, f"{direction}_composition_0/cell", one_way.cell)
        for index, layer in enumerate(one_way.grus):
            copy(values, f"{direction}_decoder/cell_{index}", layer.cell)
    return model


def copy_graphs(direction, g, values):
    for name, cnn, projections in (
        ("key", g.key_cnn, g.keys),
        ("query", g.query_cnn, g.queries),
    ):
        path = f"{direction}_convolutions/{name}"
        for index, (conv, norm) in enumerate(
            zip(cnn.convs, cnn.norms, strict=True)
        ):
            copy(values, f"{path}_conv_{index}", conv)
            copy(values, f"{path}_norm_{index}", norm)
            if direction == "backward":  # its window is the mirror image
                conv.kernel.assign(np.array(conv.kernel.value)[::-1])
        kernel = values[f"{direction}_projection/{name}_kernel"]
        bias = values[f"{direction}_projection/{name}_bias"]
        kernels = np.split(kernel, len(projections), axis=1)
        for dense, k, b in zip(projections, kernels, bias, strict=True):
            dense.set_weights([k, b.reshape(-1)])
    for dense, k, b in zip(
        g.thresholds,
        values[f"{direction}_projection/threshold_kernel"],
        values[f"{direction}_projection/threshold_bias"],
        strict=True,
    ):
        dense.set_weights([k[:, None], b[None]])


def copy(values, path, layer):
    for weight in layer.weights:
        weight.assign(values[f"{path}/{weight.name}"])


@pytest.fixture(scope="module")
def models():
    """The package's model, and the example's with its weights."""
    package = small_pretrainer()
    return package, copied(package)


def test_parameters_are_as_many(models):
    package, example = models
    assert count_parameters(example) == count_parameters(package)


@pytest.mark.parametrize("name", ["loss", "forward", "backward"])
def test_losses_are_equal(models, name):
    package, example = models
    key = name if name == "loss" else f"{name}_loss"
    expected, received = package(inputs())[key], example(inputs())[name]
    assert float(received) == pytest.approx(float(expected), abs=TOLERANCE)


def test_graphs_are_equal(models):
    package, example = models
    expected = package.graph_predictor(inputs())
    for name, graphs in example.graphs(*inputs().values()).items():
        np.testing.assert_allclose(
            graphs, expected[f"{name}_graphs"], atol=TOLERANCE
        )


def test_gradients_are_equal(models):
    package, example = models
    expected, received = (
        embedding_gradient(model, embedding)
        for model, embedding in (
            (package, package.graph_predictor.token_embedding),
            (example, example.token_embedding),
        )
    )
    np.testing.assert_allclose(received, expected, atol=TOLERANCE)


def embedding_gradient(model, embedding):
    """Of the training loss at all positions."""
    with tf.GradientTape() as tape:
        loss = model(inputs(), training=True)["loss"]
    gradient = tape.gradient(loss, embedding.embeddings.value)
    return tf.convert_to_tensor(gradient).numpy()


def test_transfer_is_equal(models):
    graphs = models[0].graph_predictor(inputs())
    features = np.random.default_rng(0).normal(size=(2, 7, 5))
    features = tf.constant(features, "float32")
    package, example = gk.layers.GraphTransfer(), one_file.GraphTransfer()
    expected = package(features, graphs)
    named = {name.removesuffix("_graphs"): x for name, x in graphs.items()}
    example(features, named)
    example.value.set_weights(package.fusion.value_dense.get_weights())
    example.gate.set_weights(package.fusion.gate_dense.get_weights())
    np.testing.assert_allclose(
        example(features, named), expected, atol=TOLERANCE
    )


def test_colour_of_the_last_name_stands_behind_it_earlier():
    texts = one_file.make_texts(20, seed=0)
    for text in np.array(one_file.WORDS)[texts].tolist():
        *earlier, name, colour = text
        assert colour == earlier[earlier.index(name) + 1]
