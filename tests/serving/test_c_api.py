"""The native loader, which TensorFlow Serving uses too, runs an export."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import export_saved_model
from tests.serving.small_predictor import NUM_HEADS
from tests.serving.small_predictor import NUM_LAYERS
from tests.serving.small_predictor import small_predictor

TOLERANCE = 1e-6
LIBRARIES = Path(tf.__file__).parent
WORDS = ["<pad>", "<unk>", "the", "cat", "sat", "n't", "שלום"]
TEXTS = ["The cat didn't sit.", "", "שלום 👍🏽 " + "long" * 20]
MAX_LENGTH = 6

pytestmark = pytest.mark.skipif(
    not (LIBRARIES / "libtensorflow_cc.so.2").exists(),
    reason="needs TensorFlow's C library as on Linux",
)


def tensor_names(folder):
    """Names of the tensors of each signature, from the folder alone."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    return {
        name: {
            kind: {key: info.name for key, info in getattr(entry, kind).items()}
            for kind in ("inputs", "outputs")
        }
        for name, entry in graph.signature_def.items()
        if not name.startswith("__")
    }


@pytest.fixture
def exported(tmp_path):
    model = small_predictor(len(WORDS))
    model.vocabulary = WORDS
    return export_saved_model(
        model,
        tmp_path / "model",
        tokenizer=WordTokenizer(WORDS),
        max_length=MAX_LENGTH,
    )


def inputs():
    """Arrays for every signature."""
    read = WordTokenizer(WORDS)(TEXTS)
    shape = (len(TEXTS), 2, (2 * NUM_LAYERS - 1) * NUM_HEADS)
    return {
        "text": np.array([text.encode() for text in TEXTS]),
        "weights": np.random.default_rng(0).random(shape, "float32"),
        "token_ids": np.asarray(read["token_ids"]),
        "padding_mask": np.asarray(read["padding_mask"]),
        "length": np.asarray(read["padding_mask"]).sum(1, dtype="int32"),
    }


def run_without_python(folder, calls, work):
    """Answers through the C API.

    Args:
        folder: the SavedModel.
        calls: list of pairs of a signature's name and arrays.
        work: folder for the files that go to the other process and back.

    Returns:
        List of dicts of arrays.
    """
    names, documents = tensor_names(folder), []
    for index, (name, given) in enumerate(calls):
        files = [str(work / f"{kind}{index}.npz") for kind in ("in", "out")]
        np.savez(files[0], **given)
        documents.append({**names[name], "given": files[0], "result": files[1]})
    document = {
        "libraries": str(LIBRARIES),
        "folder": str(folder),
        "calls": documents,
    }
    (work / "calls.json").write_text(json.dumps(document), "utf-8")
    script = Path(__file__).with_name("c_api.py")
    done = subprocess.run(
        [sys.executable, script, work / "calls.json"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [dict(np.load(entry["result"])) for entry in documents]


@pytest.mark.slow
def test_every_signature_answers_as_in_python_and_keeps_the_limit(
    exported, tmp_path
):
    signatures = tf.saved_model.load(str(exported)).signatures
    assert set(tensor_names(exported)) == set(signatures)
    given = inputs()
    calls = [(name, given) for name in sorted(signatures)]
    calls.append(("serving_default", {"text": np.array([b"the " * 7])}))
    *answers, refusal = run_without_python(exported, calls, tmp_path)
    for (name, _), answer in zip(calls, answers, strict=False):
        taken = signatures[name].structured_input_signature[1]
        wanted = signatures[name](**{k: tf.constant(given[k]) for k in taken})
        assert set(answer) == set(wanted)
        for key, value in wanted.items():
            if key == "tokens":
                assert answer[key].tolist() == value.numpy().tolist()
            else:
                np.testing.assert_allclose(answer[key], value, atol=TOLERANCE)
    assert "at most 6 positions" in str(refusal["error"])
    assert "Received: 7 positions" in str(refusal["error"])
