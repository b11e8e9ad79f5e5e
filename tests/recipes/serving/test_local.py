"""The stand-in speaks as TensorFlow Serving does."""

import numpy as np
import pytest
import requests
import tensorflow as tf

from recipes.serving.local import LocalServer

THIRD = np.float32(1) / 3


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def thirds(text):
        lengths = tf.strings.length(text)
        return {
            "upper": tf.strings.upper(text),
            "length": lengths,
            "third": tf.cast(lengths, tf.float32) / 3,
        }

    signature = {"serving_default": thirds}
    tf.saved_model.save(module, str(folder / "words" / "1"), signature)
    (folder / ".writing-2-x").mkdir()
    (folder / "words" / "draft").mkdir()
    with LocalServer(folder) as server:
        yield f"{server.rest_url}/v1/models/words"


def post(url, document, status=200):
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        response = session.post(url, json=document)
    assert response.status_code == status
    return response.json()


def test_columns_are_answered_by_name(url):
    outputs = {"upper": ["A", "ÄB"], "length": [1, 3], "third": [THIRD, 1.0]}
    for given in ({"text": ["a", "Äb"]}, ["a", "Äb"]):
        answer = post(f"{url}:predict", {"inputs": given})
        assert set(answer) == {"outputs"}
        assert answer["outputs"]["upper"] == outputs["upper"]
        assert answer["outputs"]["length"] == outputs["length"]
        assert (
            np.float32(answer["outputs"]["third"]).tolist() == outputs["third"]
        )


def test_floats_have_the_digits_of_float32(url):
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(f"{url}:predict", json={"inputs": ["a", "abc"]})
    assert '"third": [0.33333334, 1.0]' in response.text


def test_bytes_come_in_base64(url):
    answer = post(f"{url}:predict", {"inputs": [{"b64": "w6T/"}, "a"]})
    assert answer["outputs"]["length"] == [3, 1]
    assert answer["outputs"]["upper"] == ["ä\ufffd", "A"]


def test_state_of_a_model(url):
    with requests.Session() as session:
        session.trust_env = False
        known, unknown = session.get(url), session.get(f"{url}x")
    (state,) = known.json()["model_version_status"]
    assert state == {"version": "1", "state": "AVAILABLE"}
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("x:predict", {"inputs": ["a"]}, 404, r"Latest(wordsx)"),
        ("/versions/7:predict", {"inputs": ["a"]}, 404, r"Specific(7)(words)"),
        (":predict", {"instances": ["a"]}, 400, "Missing 'inputs' key"),
        (":predict", [1], 400, "Missing 'inputs' key"),
        (":predict", {"inputs": [1]}, 400, "text: "),
        (
            ":predict",
            {"inputs": [["a"]]},
            400,
            "text must have the shape (None,)",
        ),
        (":predict", {"inputs": {"words": ["a"]}}, 400, "inputs must be"),
        (":predict", {"inputs": ["a"], "signature_name": "x"}, 400, "'x'"),
        (":regress", {"inputs": ["a"]}, 400, "Malformed request"),
    ],
)
def test_refusals(url, path, document, status, message):
    assert message in post(url + path, document, status)["error"]


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"FOLDER/NAME/VERSION/.*Received"):
        LocalServer(tmp_path)
