import json
import re

import pytest
import tensorflow as tf

import glomo_keras as gk
from recipes.serving import export

WORDS = ["<pad>", "<unk>", "the", "cat", "sat"]


@pytest.fixture
def preset(tmp_path):
    predictor = gk.GraphPredictor(
        len(WORDS), embedding_dim=8, num_heads=2, key_dim=4, num_conv_layers=1
    )
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    predictor.save_to_preset(tmp_path / "preset")
    return tmp_path / "preset"


def options(preset, out, **changed):
    return export.Options(
        out=out, predictor=str(preset), **{"warmup": False, **changed}
    )


def test_next_version_answers_texts_within_the_limit(preset, tmp_path, capsys):
    out = tmp_path / "models" / "small"
    (out / "3").mkdir(parents=True)
    export.main(options(preset, out, num_edges=2, max_length=4))
    printed = capsys.readouterr().out
    assert f"{out / '4'}: " in printed
    error = re.search(r"differ from the predictor's by (\S+) at most", printed)
    assert float(error[1]) < 1e-6
    edges = tf.saved_model.load(str(out / "4")).signatures["edges"]
    answer = edges(text=tf.constant(["The cat sat."]))
    assert answer["tokens"].numpy().tolist() == [[b"the", b"cat", b"sat", b"."]]
    assert answer["forward_edge_sources"].shape == (1, 3, 2, 4, 2)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="at most 4 positions"
    ):
        edges(text=tf.constant(["The cat sat. The"]))


def test_version_is_not_overwritten(preset, tmp_path):
    (tmp_path / "out" / "2").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="Received: .*2, which exists"):
        export.main(options(preset, tmp_path / "out", version=2))
    assert list((tmp_path / "out" / "2").iterdir()) == []


@pytest.mark.slow
def test_preset_without_a_tokenizer_serves_ids(preset, tmp_path, capsys):
    metadata = json.loads((preset / "metadata.json").read_text("utf-8"))
    metadata["tokenizer"] = None
    (preset / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    export.main(options(preset, tmp_path / "out", warmup=True))
    printed = capsys.readouterr().out
    assert "no tokenizer" in printed
    assert (
        "signatures: edges_from_ids, edges_from_ids_and_length, from_ids, "
        "from_ids_and_length, mixture_from_ids, mixture_from_ids_and_length, "
        "serving_default\n" in printed
    )


@pytest.mark.parametrize("limit", [0, -1])
def test_wrong_limit_is_refused(preset, tmp_path, limit):
    with pytest.raises(ValueError, match=f"Received: max_length={limit}"):
        export.main(options(preset, tmp_path / "out", max_length=limit))


def test_unknown_preset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: preset='nowhere'"):
        export.main(options("nowhere", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_next_version_counts_only_versions(tmp_path):
    assert export.next_version(tmp_path / "missing") == 1
    for name in ("2", "10", ".writing-11-x", "draft"):
        (tmp_path / name).mkdir()
    assert export.next_version(tmp_path) == 11


@pytest.mark.slow
def test_warmup_requests_of_the_texts_within_the_limit(preset, tmp_path):
    pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="needs tensorflow-serving-api",
    )
    out = tmp_path / "out"
    export.main(options(preset, out, warmup=True, max_length=12))
    path = out / "1" / "assets.extra" / "tf_serving_warmup_requests"
    records = [x.numpy() for x in tf.data.TFRecordDataset(str(path))]
    texts = export.TEXTS[:2]
    assert len(records) == 9 * (len(texts) + 1)
    assert all(any(t.encode() in x for x in records) for t in texts)
    assert not any(b"Armstrong" in x for x in records)


@pytest.mark.slow
def test_onnx_file_gives_the_graphs(preset, tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "new" / "small.onnx"
    export.main(options(preset, file, format="onnx"))
    printed = capsys.readouterr().out
    assert f"{file}: " in printed
    error = re.search(r"differ from the predictor's by (\S+) at most", printed)
    assert float(error[1]) < 1e-4
    assert [entry.name for entry in file.parent.iterdir()] == ["small.onnx"]


def test_image_predictor_takes_images(tmp_path, capsys):
    predictor = gk.ImageGraphPredictor(
        embedding_dim=6, num_heads=2, key_dim=2, num_conv_layers=1
    )
    predictor.save_to_preset(tmp_path / "preset")
    out = tmp_path / "out"
    export.main(options(tmp_path / "preset", out, warmup=True))
    printed = capsys.readouterr().out
    assert "signatures: edges, mixture, serving_default\n" in printed
    error = re.search(r"differ from the predictor's by (\S+) at most", printed)
    assert float(error[1]) < 1e-6
    extra = out / "1" / "assets.extra"
    assert [x.name for x in extra.iterdir()] == ["tf_serving_warmup_requests"]
    run = tf.saved_model.load(str(out / "1")).signatures["edges"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 1024"):
        run(images=tf.zeros((1, 32, 33, 3), "uint8"))
