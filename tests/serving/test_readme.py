"""The requests in `saved_models/README.md`, and the models next to it."""

import doctest
import json
import pathlib
import re
import shlex

import numpy as np
import pytest
import requests
import tensorflow as tf

import glomo_keras as gk
from tests.serving.local_server import local_server

MODELS = pathlib.Path(__file__).parents[2] / "saved_models"
README = (MODELS / "README.md").read_text("utf-8")
REST, GRPC = "http://localhost:8501", "localhost:8500"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def urls():
    with local_server(MODELS) as urls:
        yield dict(zip((REST, GRPC), urls, strict=True))


def blocks(kind):
    found = re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", README)
    assert found
    return found


@pytest.mark.parametrize("block", blocks("console"))
def test_curl_gets_the_answer_in_the_readme(block, urls):
    """`curl -s -d BODY URL | jq -c FILTERS`, then a line for each filter."""
    command, _, answers = block.partition("'\n")
    words = shlex.split(command.removeprefix("$ ").replace("\\\n", " ") + "'")
    assert words[:3] == ["curl", "-s", "-d"]
    assert words[5:8] == ["|", "jq", "-c"]
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        url = words[4].replace(REST, urls[REST])
        answer = session.post(url, words[3].encode()).json()
    filters = words[8].split(", ")
    for path, line in zip(filters, answers.splitlines(), strict=True):
        found = answer
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            found = found[name or int(index)]
        assert_same(found, json.loads(line))


def assert_same(found, written):
    if np.array(written).dtype.kind == "U":
        assert found == written
    else:
        np.testing.assert_allclose(found, written, atol=TOLERANCE)


@pytest.mark.parametrize("block", blocks("pycon"))
def test_python_gets_the_answer_in_the_readme(block, urls, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    for written, url in urls.items():
        block = block.replace(written, url)
    test = doctest.DocTestParser().get_doctest(block, {}, "README", None, 0)
    runner = doctest.DocTestRunner(verbose=False)
    output = []
    runner.run(test, out=output.append)
    assert not output, "".join(output)


def test_shipped_model_is_the_preset():
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    folder = MODELS / "glomo_small_en" / "1"
    words = (folder / "assets" / "vocabulary.txt").read_text("utf-8")
    assert words.split("\n")[:-1] == predictor.vocabulary
    ids = np.random.default_rng(0).integers(0, 20_000, (2, 30), "int32")
    inputs = {"token_ids": ids, "padding_mask": ids > 0}
    wanted = predictor(inputs)
    run = tf.saved_model.load(str(folder)).signatures["from_ids"]
    graphs = run(**{name: tf.constant(x) for name, x in inputs.items()})
    for name, graph in graphs.items():
        np.testing.assert_allclose(graph, wanted[name], atol=1e-6)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    assert size < 1.1 * sum(w.value.numpy().nbytes for w in predictor.weights)


def test_configuration_names_the_models_that_are_there():
    from google.protobuf import text_format

    messages = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2"
    )
    text = (MODELS / "models.config").read_text("utf-8")
    config = text_format.Parse(text, messages.ModelServerConfig())
    models = config.model_config_list.config
    assert [model.name for model in models] == ["glomo_small_en"]
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert (MODELS / model.name / "1" / "saved_model.pb").exists()
