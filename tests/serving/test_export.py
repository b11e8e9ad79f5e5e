import stat

import keras
import numpy as np
import pytest
import tensorflow as tf

from glomo_keras.data import WordTokenizer
from glomo_keras.serving import export_saved_model
from tests.serving.fresh_process import run_python
from tests.serving.small_predictor import NUM_HEADS
from tests.serving.small_predictor import NUM_LAYERS
from tests.serving.small_predictor import small_predictor

TOLERANCE = 1e-6
GRAPH_BYTES = 600_000  # of the program and the vocabulary
VOCABULARY_SIZE = 10_000
NAMES = {"forward_graphs", "backward_graphs"}


def inputs(batch, positions):
    """Ids `(B, T)`, and a mask with one unit less in each next row."""
    ids = np.random.default_rng(0).integers(
        0, VOCABULARY_SIZE, (batch, positions), "int32"
    )
    lengths = np.maximum(1, positions - np.arange(batch))[:, None]
    return {"token_ids": ids, "padding_mask": np.arange(positions) < lengths}


@pytest.fixture(scope="module")
def predictor():
    keras.utils.set_random_seed(0)
    model = small_predictor(VOCABULARY_SIZE, 64)
    tokens = ["[pad]", "naïve", "日本", " ", ""]
    model.vocabulary = tokens + [str(i) for i in range(5, VOCABULARY_SIZE)]
    return model


@pytest.fixture(scope="module")
def exported(predictor, tmp_path_factory):
    """The folder of version 3."""
    path = tmp_path_factory.mktemp("models") / "new" / "small"
    return export_saved_model(predictor, path, version=3)


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


def test_folder_is_named_after_the_version(exported):
    assert exported.name == "3"
    assert [entry.name for entry in exported.parent.iterdir()] == ["3"]


def test_folder_is_as_readable_as_any_new_one(exported, tmp_path):
    (tmp_path / "new").mkdir()
    wanted = stat.S_IMODE((tmp_path / "new").stat().st_mode)
    assert stat.S_IMODE(exported.stat().st_mode) == wanted


@pytest.mark.parametrize("name", ["serving_default", "from_ids"])
def test_signature_has_the_names_types_and_free_axes(signatures, name):
    positional, taken = signatures[name].structured_input_signature
    assert positional == ()
    assert taken["token_ids"].dtype == tf.int32
    assert taken["padding_mask"].dtype == tf.bool
    assert set(taken) == {"token_ids", "padding_mask"}
    assert all(spec.shape.as_list() == [None, None] for spec in taken.values())
    given = signatures[name].structured_outputs
    assert set(given) == NAMES
    for spec in given.values():
        assert spec.dtype == tf.float32
        assert spec.shape.as_list()[1:3] == [NUM_LAYERS, NUM_HEADS]


def test_without_a_tokenizer_all_signatures_take_ids(signatures):
    names = {"from_ids", "mixture_from_ids", "edges_from_ids"}
    by_length = {f"{name}_and_length" for name in names}
    assert set(signatures) == {"serving_default", *names, *by_length}


@pytest.mark.parametrize("positions", [1, 3, 7])
@pytest.mark.parametrize("batch", [1, 4])
def test_graphs_equal_those_of_the_model(
    predictor, signatures, batch, positions
):
    given = inputs(batch, positions)
    wanted = predictor(given, training=False)
    shape = (batch, NUM_LAYERS, NUM_HEADS, positions, positions)
    for name in ("serving_default", "from_ids"):
        tensors = {key: tf.constant(value) for key, value in given.items()}
        graphs = signatures[name](**tensors)
        assert set(graphs) == NAMES
        for key, graph in graphs.items():
            assert graph.shape == shape
            np.testing.assert_allclose(graph, wanted[key], atol=TOLERANCE)


def test_model_of_the_test_differs_in_training_mode():
    model = small_predictor()  # its own: training moves batch statistics
    given = inputs(4, 7)
    given["token_ids"] %= model.vocabulary_size
    trained = model(given, training=True)["forward_graphs"]
    served = model(given, training=False)["forward_graphs"]
    assert not np.allclose(trained, served, atol=0.01)


def test_weights_are_stored_once(predictor, exported):
    parameters = sum(w.value.numpy().nbytes for w in predictor.weights)
    size = sum(f.stat().st_size for f in exported.rglob("*") if f.is_file())
    assert parameters < size < 1.1 * parameters + GRAPH_BYTES


def test_vocabulary_stands_in_the_extra_assets(predictor, exported):
    data = (exported / "assets.extra" / "vocabulary.txt").read_bytes()
    assert data.decode("utf-8").split("\n")[:-1] == predictor.vocabulary


@pytest.mark.slow
def test_no_vocabulary_writes_no_file(tmp_path):
    folder = export_saved_model(small_predictor(), tmp_path)
    assert not (folder / "assets.extra").exists()


@pytest.mark.slow
def test_kill_half_way_leaves_no_version(tmp_path):
    code = """
    import os, signal, sys
    import tensorflow as tf
    from glomo_keras.serving import export_saved_model
    from tests.serving.small_predictor import small_predictor
    save = tf.saved_model.save
    def save_and_die(*arguments, **options):
        save(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    tf.saved_model.save = save_and_die
    export_saved_model(small_predictor(), sys.argv[1])
    """
    done = run_python(code, tmp_path)
    assert done.returncode == -9, done.stderr
    left = [entry.name for entry in tmp_path.iterdir()]
    assert len(left) == 1 and left[0].startswith(".writing-1-")
    folder = export_saved_model(small_predictor(), tmp_path)
    assert (folder / "saved_model.pb").exists()


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(small_predictor(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_existing_version_is_not_overwritten(tmp_path):
    kept = tmp_path / "2" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(FileExistsError, match=f"Received: {kept.parent}"):
        export_saved_model(small_predictor(), tmp_path, version=2)
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("version", [-1, "1", 1.0, True, None])
def test_wrong_version_is_refused(predictor, tmp_path, version):
    with pytest.raises(ValueError, match="Received: version="):
        export_saved_model(predictor, tmp_path, version)


@pytest.mark.parametrize("name", ["max_length", "num_edges"])
@pytest.mark.parametrize("value", [0, "1", 1.0, True])
def test_wrong_number_is_refused(predictor, tmp_path, name, value):
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        export_saved_model(predictor, tmp_path, **{name: value})


def test_other_vocabulary_of_the_tokenizer_is_refused(predictor, tmp_path):
    for tokenizer in (WordTokenizer(), WordTokenizer(["<pad>", "<unk>"])):
        with pytest.raises(ValueError, match="different vocabularies"):
            export_saved_model(predictor, tmp_path, tokenizer=tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_other_options_of_the_tokenizer_are_refused(tmp_path):
    words = ["<pad>", "<unk>", "the"]
    predictor = small_predictor(len(words), 64)
    predictor.vocabulary = words
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    with pytest.raises(
        ValueError, match="numbers='N'.*Received: numbers='keep"
    ):
        export_saved_model(predictor, tmp_path, tokenizer=WordTokenizer(words))
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_are_refused(predictor, tmp_path):
    tensors = predictor.input
    model = keras.Model(tensors, {"graphs": tensors["token_ids"]})
    with pytest.raises(ValueError, match=r"Received: outputs=\['graphs'\]"):
        export_saved_model(model, tmp_path)
    model = keras.Model(tensors["token_ids"], tensors["token_ids"])
    with pytest.raises(ValueError, match="Received: inputs=KerasTensor"):
        export_saved_model(model, tmp_path)


def test_token_with_a_line_break_is_refused(tmp_path):
    model = small_predictor()
    model = keras.Model(model.input, model.output)  # checks no vocabulary
    model.vocabulary = ["a", "b\n"]
    with pytest.raises(ValueError, match=r"Received: token='b\\n'"):
        export_saved_model(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_other_backend_is_refused_and_tensorflow_not_imported(tmp_path):
    code = """
    import sys
    sys.modules["tensorflow"] = None
    from glomo_keras.serving import export_saved_model
    try:
        export_saved_model(None, sys.argv[1])
    except RuntimeError as error:
        print(error)
    """
    done = run_python(code, tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("Received: backend='jax'")
