"""The requests in `saved_models/README.md`, and the models beside it."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import glomo_keras as gk
from recipes.serving import serving_readme

MODELS = pathlib.Path(__file__).parents[3] / "saved_models"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def test_answers_in_the_readme_are_those_of_the_models(capsys):
    serving_readme.main(serving_readme.Options(MODELS, check=True))
    assert "all answers are those" in capsys.readouterr().out


def test_other_answers_are_found_and_written(tmp_path, capsys):
    folder = tmp_path / "models"
    shutil.copytree(MODELS, folder)
    readme = folder / "README.md"
    written = readme.read_text("utf-8")
    readme.write_text(written.replace('"rains"', '"snows"'), "utf-8")
    with pytest.raises(SystemExit):
        serving_readme.main(serving_readme.Options(folder, check=True))
    assert '-[["it","snows","."]]' in capsys.readouterr().out
    serving_readme.main(serving_readme.Options(folder))
    assert serving_readme.same(readme.read_text("utf-8"), written)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("[0.63180584]", "[0.63180591]", True),
        ("[0.63180584]", "[0.63182584]", False),
        ("[[0.632 0.   ]]", "[[0.631  0.  ]]", True),
        ("[[0.632 0.   ]]", "[[0.63 0.   ]]", False),
        ("it 0.5", "is 0.5", False),
        ("0.5", "0.5 0.5", False),
    ],
)
def test_numbers_may_differ_in_the_last_digit(one, other, alike):
    assert serving_readme.same(one, other) == alike


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
