"""The client gets over REST and gRPC what the SavedModel computes."""

import functools
import os

import numpy as np
import pytest
import tensorflow as tf

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import GraphClient
from glomo_keras.serving import ServingError
from glomo_keras.serving import export_saved_model
from tests.serving.fresh_process import run_python
from tests.serving.local_server import local_server
from tests.serving.nasty_texts import TEXTS
from tests.serving.small_predictor import NUM_HEADS
from tests.serving.small_predictor import NUM_LAYERS
from tests.serving.small_predictor import small_predictor
from tests.serving.test_image_export import image_predictor
from tests.serving.test_image_export import pictures

TOLERANCE = 1e-6
NUM_WEIGHTS = (2 * NUM_LAYERS - 1) * NUM_HEADS
MAX_LENGTH = 40
WORDS = ["<pad>", "<unk>", "the", "cat", "sat", "n't", "שלום"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with two versions of a model of texts."""
    folder = tmp_path_factory.mktemp("models")
    model = small_predictor(len(WORDS))
    model.vocabulary = WORDS
    options = {"tokenizer": WordTokenizer(WORDS), "max_length": MAX_LENGTH}
    export_saved_model(model, folder / "small", 2, num_edges=3)
    export_saved_model(model, folder / "small", 10, num_edges=4, **options)
    return folder


@pytest.fixture(scope="module")
def urls(models):
    with local_server(models) as urls:
        yield dict(zip(("rest", "grpc"), urls, strict=True))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(params=["rest", "grpc"])
def url(request, urls):
    return urls[request.param]


@pytest.fixture
def client(url):
    with GraphClient(url, model="small", batch_size=4) as client:
        yield client


@functools.cache
def load_signatures(folder):
    model = tf.saved_model.load(str(folder))
    return model, model.signatures  # which do not keep the model


def wanted(models, signature, **inputs):
    """Returns the SavedModel's answer to all rows at once."""
    _, signatures = load_signatures(models / "small" / "10")
    run = signatures[signature]
    outputs = run(**{name: tf.constant(x) for name, x in inputs.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def assert_equal(answer, wanted):
    assert set(answer) == set(wanted)
    for name, array in wanted.items():
        if name == "tokens":
            assert answer[name].dtype == object
            texts = [[x.decode() for x in row] for row in array]
            assert answer[name].tolist() == texts
            continue
        assert answer[name].dtype == array.dtype
        np.testing.assert_allclose(answer[name], array, atol=TOLERANCE)


def test_texts_in_batches_are_answered_as_at_once(models, client):
    given = np.array([x if isinstance(x, bytes) else x.encode() for x in TEXTS])
    assert_equal(
        client.graphs(TEXTS), wanted(models, "serving_default", text=given)
    )
    assert_equal(client.edges(TEXTS), wanted(models, "edges", text=given))
    weights = np.random.default_rng(0).random((len(TEXTS), 2, NUM_WEIGHTS))
    assert_equal(
        client.mixture(TEXTS, weights),
        wanted(models, "mixture", text=given, weights=weights.astype("f")),
    )


def test_offsets_cut_the_tokens_out_of_the_text(client):
    answer = client.edges(TEXTS)
    for row, text in enumerate(TEXTS):
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        length = answer["length"][row]
        places = answer["token_offsets"][row, :length].tolist()
        cut = [text[start:end] for start, end in places]
        tokens = answer["tokens"][row, :length].tolist()
        lowered = tf.strings.lower(tf.constant(cut, tf.string), "utf-8")
        assert [x.decode() for x in lowered.numpy().tolist()] == tokens


def test_one_set_of_weights_goes_with_every_batch(client):
    weights = np.arange(2 * NUM_WEIGHTS).reshape(2, NUM_WEIGHTS)
    mixture = client.mixture(["the cat"] * 9, weights)["forward_mixture"]
    assert mixture.shape == (9, 2, 2)
    np.testing.assert_array_equal(mixture, mixture[:1].repeat(9, 0))


def test_ids_are_answered(models, client):
    ids = np.array([[2, 3, 4], [2, 3, 0]], "int32")
    inputs = {"token_ids": ids, "padding_mask": ids > 0}
    graphs = wanted(models, "from_ids", **inputs)
    assert_equal(client.graphs(inputs), graphs)
    by_length = {"token_ids": ids.tolist(), "length": [3, 2]}
    assert_equal(client.graphs(by_length), graphs)
    assert_equal(
        client.edges(by_length), wanted(models, "edges_from_ids", **inputs)
    )


@pytest.mark.slow
def test_images_are_answered(tmp_path):
    images = pictures(3, 4, 5)
    predictor = image_predictor()
    export_saved_model(predictor, tmp_path / "pixels")
    wanted = predictor({"images": images})["forward_graphs"]
    with local_server(tmp_path) as urls:
        for url in urls:
            with GraphClient(url, model="pixels", batch_size=2) as client:
                answer = client.graphs({"images": images})
            np.testing.assert_allclose(
                answer["forward_graphs"], wanted, atol=TOLERANCE
            )


def test_version_is_the_newest_or_the_one_asked_for(url):
    for version, edges in ((None, 4), (10, 4), (2, 3)):
        with GraphClient(url, model="small", version=version) as client:
            answer = client.edges({"token_ids": [[2, 3]], "length": [2]})
            assert answer["forward_edge_weights"].shape[-1] == edges


def test_refusal_says_what_the_server_said(url, client):
    limit = f"at most {MAX_LENGTH} positions"
    with pytest.raises(ServingError, match=limit) as error:
        client.graphs(["the"] * 5 + ["the " * (MAX_LENGTH + 1)])
    assert error.value.code in (400, "INVALID_ARGUMENT")
    with GraphClient(url, model="missing") as missing:
        with pytest.raises(ServingError, match="not found: missing") as error:
            missing.edges(["the"])
    assert error.value.code in (404, "NOT_FOUND")
    with pytest.raises(ServingError, match="'nothing' not found"):
        client.predict("nothing", {"text": ["the"]})


@pytest.mark.slow
def test_rest_needs_neither_tensorflow_nor_grpc(urls):
    code = """
    import sys
    for name in ("tensorflow", "grpc", "tensorflow_serving"):
        sys.modules[name] = None
    from glomo_keras.serving import GraphClient
    with GraphClient(sys.argv[1], model="small") as client:
        print(client.edges(["The cat"])["tokens"].tolist())
    try:
        GraphClient("127.0.0.1:1")
    except ImportError as error:
        print(error)
    """
    done = run_python(
        code, urls["rest"], KERAS_BACKEND="jax", NO_PROXY="127.0.0.1"
    )
    assert done.returncode == 0, done.stderr
    tokens, missing = done.stdout.splitlines()
    assert tokens == "[['the', 'cat']]"
    assert "pip install 'glomo-keras[client]'" in missing


@pytest.mark.network
def test_real_server_answers():
    """`TF_SERVING_URL` is a server of the model in `saved_models/`."""
    if "TF_SERVING_URL" not in os.environ:
        pytest.skip("needs TF_SERVING_URL")
    folder = "saved_models/glomo_small_en/1"
    signatures = tf.saved_model.load(folder).signatures
    texts = ["The cat sat on the mat.", "", "It didn't see שלום 👍🏽."]
    weights = np.full((1, 2, 40), 1 / 40, "float32")
    with GraphClient(os.environ["TF_SERVING_URL"], version=1) as client:
        for name, answer in (
            ("serving_default", client.graphs(texts)),
            ("edges", client.edges(texts)),
            ("mixture", client.mixture(texts, weights)),
        ):
            inputs = {"text": tf.constant(texts)}
            if name == "mixture":
                inputs["weights"] = tf.constant(weights)
            outputs = signatures[name](**inputs)
            assert_equal(answer, {k: v.numpy() for k, v in outputs.items()})
