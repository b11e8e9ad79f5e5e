import sys

import numpy as np
import pytest
import tensorflow as tf

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import export_saved_model
from tests.serving.small_predictor import small_predictor

WORDS = ["<pad>", "<unk>", "the", "cat", "sat"]
FILE = "assets.extra/tf_serving_warmup_requests"
TEXTS = ["The cat sat.", "Çat 👍🏽"]


def predictor_and_tokenizer():
    model = small_predictor(len(WORDS))
    model.vocabulary = WORDS
    return model, WordTokenizer(WORDS)


@pytest.mark.slow
def test_requests_run_on_the_signatures(tmp_path):
    messages = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="needs tensorflow-serving-api",
    )
    model, tokenizer = predictor_and_tokenizer()
    folder = export_saved_model(
        model,
        tmp_path / "small",
        tokenizer=tokenizer,
        max_length=4,
        warmup_texts=TEXTS,
    )
    signatures = tf.saved_model.load(str(folder)).signatures
    batches = {name: [] for name in signatures}
    for record in tf.data.TFRecordDataset(str(folder / FILE)):
        log = messages.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "small"
        name = request.model_spec.signature_name
        inputs = {
            key: tf.constant(tf.make_ndarray(value))
            for key, value in request.inputs.items()
        }
        outputs = signatures[name](**inputs)
        batches[name].append(len(next(iter(outputs.values()))))
        if "text" in inputs:
            assert set(inputs["text"].numpy()) <= {x.encode() for x in TEXTS}
        if "weights" in inputs:
            np.testing.assert_allclose(tf.reduce_sum(inputs["weights"], -1), 1)
    assert set(map(tuple, batches.values())) == {(1, 1, 2)}  # of every one


def test_missing_package_is_named_before_anything_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    model, tokenizer = predictor_and_tokenizer()
    with pytest.raises(ImportError, match="pip install tensorflow-serving-api"):
        export_saved_model(
            model, tmp_path, tokenizer=tokenizer, warmup_texts=TEXTS
        )
    assert list(tmp_path.iterdir()) == []


def test_wrong_warmup_texts_are_refused(tmp_path):
    model, tokenizer = predictor_and_tokenizer()
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        export_saved_model(model, tmp_path, warmup_texts=TEXTS)
    with pytest.raises(ValueError, match="Received: one with 4 tokens"):
        export_saved_model(
            model,
            tmp_path,
            tokenizer=tokenizer,
            max_length=3,
            warmup_texts=TEXTS,
        )
    images = np.zeros((1, 2, 2, 3), "uint8")
    for texts, count in ((None, 0), (TEXTS, len(TEXTS))):
        with pytest.raises(ValueError, match=f"one of them.*{count} texts"):
            export_saved_model(
                model,
                tmp_path,
                tokenizer=tokenizer,
                warmup_texts=texts,
                warmup_images=images,
            )
    assert list(tmp_path.iterdir()) == []
