"""A predictor of images is served as one of texts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from glomo_keras.models import ImageGraphPredictor
from glomo_keras.serving import export_saved_model
from glomo_keras.serving import warmup

TOLERANCE = 1e-6
MAX_LENGTH = 30
NUM_EDGES = 4
GRAPHS = {"forward_graphs"}
SIGNATURES = {
    "serving_default": ({"images"}, GRAPHS),
    "mixture": ({"images", "weights"}, {"forward_mixture"}),
    "edges": ({"images"}, {"forward_edge_sources", "forward_edge_weights"}),
}


def image_predictor(bidirectional=False):
    """L = 2, K = 2; its weights are random."""
    keras.utils.set_random_seed(0)
    return ImageGraphPredictor(
        embedding_dim=12,
        num_heads=2,
        key_dim=3,
        num_conv_layers=2,
        num_graph_layers=2,
        bidirectional=bidirectional,
        max_shift=4,
        dropout=0.5,
    )


def pictures(batch, height, width):
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (batch, height, width, 3), "uint8")


@pytest.fixture(scope="module")
def predictor():
    return image_predictor()


@pytest.fixture(scope="module")
def exported(predictor, tmp_path_factory):
    return export_saved_model(
        predictor,
        tmp_path_factory.mktemp("models") / "pixels",
        max_length=MAX_LENGTH,
        num_edges=NUM_EDGES,
        warmup_images=pictures(2, 5, 6),
    )


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


def test_signatures_take_images_and_name_their_outputs(signatures):
    assert set(signatures) == set(SIGNATURES)
    for name, (inputs, outputs) in SIGNATURES.items():
        taken = signatures[name].structured_input_signature[1]
        assert set(taken) == inputs
        assert taken["images"].dtype == tf.uint8
        assert taken["images"].shape.as_list() == [None, None, None, 3]
        assert set(signatures[name].structured_outputs) == outputs


@pytest.mark.parametrize(
    ("batch", "height", "width"), [(1, 1, 1), (3, 4, 5), (64, 5, 6)]
)
def test_answers_equal_the_model(predictor, signatures, batch, height, width):
    images = pictures(batch, height, width)
    given = tf.constant(images)
    graph = predictor({"images": images})["forward_graphs"].numpy()
    answer = signatures["serving_default"](images=given)
    np.testing.assert_allclose(answer["forward_graphs"], graph, atol=TOLERANCE)
    weights = np.random.default_rng(1).random((1, 1, 6), "float32")
    terms = [graph[:, 0], graph[:, 1], graph[:, 1] @ graph[:, 0]]
    mixed = np.einsum("n,bnts->bts", weights[0, 0], np.concatenate(terms, 1))
    answer = signatures["mixture"](images=given, weights=tf.constant(weights))
    np.testing.assert_allclose(answer["forward_mixture"], mixed, atol=TOLERANCE)
    answer = signatures["edges"](images=given)
    strongest = -np.sort(-graph, -1)[..., :NUM_EDGES]
    found = answer["forward_edge_weights"][..., : strongest.shape[-1]]
    np.testing.assert_allclose(found, strongest, atol=TOLERANCE)


def test_endpoints_take_a_dict_as_keras_layers_call_them(exported, predictor):
    layer = keras.layers.TFSMLayer(
        str(exported), call_endpoint="serving_default"
    )
    images = pictures(2, 3, 4)
    np.testing.assert_allclose(
        layer({"images": images})["forward_graphs"],
        predictor({"images": images})["forward_graphs"],
        atol=TOLERANCE,
    )


def test_more_pixels_than_the_limit_and_no_pixels_are_refused(signatures):
    for shape, message in (
        ((1, 4, 8), "at most 30 positions.*Received: 32 positions"),
        ((0, 2, 2), "images must not be empty.*0 2 2 3"),
        ((1, 0, 2), "images must not be empty.*1 0 2 3"),
    ):
        for name in ("serving_default", "edges"):
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                signatures[name](images=tf.constant(pictures(*shape)))


def test_warmup_requests_are_of_the_images(exported):
    messages = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = exported / "assets.extra" / "tf_serving_warmup_requests"
    names, batches = set(), set()
    for record in tf.data.TFRecordDataset(str(file)):
        log = messages.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        names.add(request.model_spec.signature_name)
        batches.add(tf.make_ndarray(request.inputs["images"]).shape)
    assert names == set(SIGNATURES)
    assert batches == {(1, 5, 6, 3), (2, 5, 6, 3)}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 2, 2, 3), 0.5), "`images` must have.*dtype=float64"),
        (np.full((1, 2, 2, 3), 300), "`images` must have.*to 300"),
        (np.ones((2, 2, 3), "uint8"), "`images` must have"),
        (np.ones((0, 5, 6, 3), "uint8"), r"not be empty.*\(0, 5, 6, 3\)"),
        (np.ones((1, 2, 2, 1), "uint8"), r"3 channels.*\(1, 2, 2, 1\)"),
    ],
)
def test_warmup_images_that_are_none_are_refused(
    images, message, predictor, tmp_path
):
    with pytest.raises(ValueError, match=message):
        export_saved_model(predictor, tmp_path, warmup_images=images)
    assert list(tmp_path.iterdir()) == []


def test_integers_of_any_width_warm_up_as_bytes(monkeypatch):
    monkeypatch.setattr(warmup, "_import_messages", lambda: None)
    batches = warmup.image_batches([[[[0, 7, 255]]]] * 2, None, 3)
    assert [len(x["images"]) for x in batches] == [1, 1, 2]
    assert {x["images"].dtype.name for x in batches} == {"uint8"}


def test_warmup_images_beyond_the_limit_are_refused(predictor, tmp_path):
    with pytest.raises(ValueError, match="Received: one with 30 pixels"):
        export_saved_model(
            predictor,
            tmp_path,
            max_length=20,
            warmup_images=pictures(1, 5, 6),
        )
