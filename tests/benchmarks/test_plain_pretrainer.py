import numpy as np
import pytest
import tensorflow as tf

from benchmarks.plain_pretrainer import DIRECTIONS
from benchmarks.plain_pretrainer import PlainPretrainer
from benchmarks.pretraining import count_parameters
from tests.models.small_models import SIZES
from tests.models.small_models import inputs
from tests.models.small_models import small_pretrainer

TOLERANCE = 1e-4


def copied(package):
    """A plain model with the weights of the package's."""
    plain = PlainPretrainer(**SIZES)
    plain(inputs())
    values = {w.path: np.array(w.value) for w in package.weights}
    plain.token_embedding.embeddings.assign(
        values["token_embedding/embeddings"]
    )
    for direction in DIRECTIONS:
        copy_graphs(direction, plain.directions[direction], values)
        copy_features(direction, plain.directions[direction], values)
    return plain


def copy_graphs(direction, plain, values):
    for name in ("key", "query"):
        for index, (conv, norm) in enumerate(
            zip(
                plain.convolutions[name],
                plain.normalizations[name],
                strict=True,
            )
        ):
            path = f"{direction}_convolutions/{name}"
            copy(values, f"{path}_conv_{index}", conv)
            copy(values, f"{path}_norm_{index}", norm)
            if direction == "backward":  # whose window is the mirror image
                conv.kernel.assign(np.array(conv.kernel.value)[::-1])
        kernel = values[f"{direction}_projection/{name}_kernel"]
        bias = values[f"{direction}_projection/{name}_bias"]
        layers = len(plain.thresholds)
        for dense, k, b in zip(
            plain.projections[name],
            np.split(kernel, layers, axis=1),
            bias,
            strict=True,
        ):
            dense.set_weights([k, b.reshape(-1)])
    for dense, k, b in zip(
        plain.thresholds,
        values[f"{direction}_projection/threshold_kernel"],
        values[f"{direction}_projection/threshold_bias"],
        strict=True,
    ):
        dense.set_weights([k[:, None], b[None]])


def copy_features(direction, plain, values):
    copy(values, f"{direction}_composition_0/cell", plain.cell)
    for index, layer in enumerate(plain.decoder):
        copy(values, f"{direction}_decoder/cell_{index}", layer.cell)


def copy(values, path, layer):
    for weight in layer.weights:
        weight.assign(values[f"{path}/{weight.name}"])


@pytest.fixture(scope="module")
def models():
    """The package's model, and the plain one with its weights."""
    package = small_pretrainer()
    return package, copied(package)


def test_plain_model_has_as_many_parameters(models):
    package, plain = models
    assert count_parameters(plain) == count_parameters(package)


def test_plain_model_has_the_same_losses_with_the_same_weights(models):
    package, plain = models
    expected, received = package(inputs()), plain(inputs())
    for name in ("loss", "forward_loss", "backward_loss"):
        assert float(received[name]) == pytest.approx(
            float(expected[name]), abs=TOLERANCE
        )


def test_plain_model_has_the_same_gradient_with_the_same_weights(models):
    package, plain = models
    predictor = package.graph_predictor
    np.testing.assert_allclose(
        embedding_gradient(plain, plain.token_embedding),
        embedding_gradient(package, predictor.token_embedding),
        atol=TOLERANCE,
    )


def embedding_gradient(model, embedding):
    """Of the training loss at all positions."""
    with tf.GradientTape() as tape:
        loss = model(inputs(), training=True)["loss"]
    gradient = tape.gradient(loss, embedding.embeddings.value)
    return tf.convert_to_tensor(gradient).numpy()
