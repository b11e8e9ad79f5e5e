import sys

import keras
import numpy as np
import pytest

from glomo_keras.serving import export_onnx
from tests.serving.small_predictor import NUM_HEADS
from tests.serving.small_predictor import NUM_LAYERS
from tests.serving.small_predictor import small_predictor
from tests.serving.test_image_export import image_predictor
from tests.serving.test_image_export import pictures

TOLERANCE = 1e-4
NAMES = {"forward_graphs", "backward_graphs"}


@pytest.fixture(scope="module")
def predictor():
    return small_predictor(vocabulary_size=50)


@pytest.fixture(scope="module")
def session(predictor, tmp_path_factory):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("onnx") / "new" / "small.onnx"
    assert export_onnx(predictor, path) == path
    assert [entry.name for entry in path.parent.iterdir()] == ["small.onnx"]
    return runtime.InferenceSession(path)


def run(session, inputs):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def test_inputs_and_outputs_have_names_and_free_axes(session):
    taken = {x.name: (x.type, x.shape) for x in session.get_inputs()}
    assert taken == {
        "token_ids": ("tensor(int32)", ["batch", "positions"]),
        "padding_mask": ("tensor(bool)", ["batch", "positions"]),
    }
    given = {x.name: (x.type, x.shape) for x in session.get_outputs()}
    shape = ["batch", NUM_LAYERS, NUM_HEADS, "positions", "positions"]
    assert given == {name: ("tensor(float)", shape) for name in NAMES}


@pytest.mark.parametrize(
    ("batch", "positions"), [(1, 1), (3, 40), (64, 9), (1, 500)]
)
def test_graphs_equal_those_of_the_model(predictor, session, batch, positions):
    ids = np.random.default_rng(0).integers(0, 50, (batch, positions), "int32")
    lengths = np.maximum(1, positions - np.arange(batch))[:, None]
    inputs = {"token_ids": ids, "padding_mask": np.arange(positions) < lengths}
    wanted = predictor(inputs, training=False)
    answer = run(session, inputs)
    assert set(answer) == NAMES
    for name, graph in answer.items():
        np.testing.assert_allclose(graph, wanted[name], atol=TOLERANCE)


@pytest.mark.slow
def test_images_of_any_size(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    predictor = image_predictor()
    path = export_onnx(predictor, tmp_path / "pixels.onnx")
    session = runtime.InferenceSession(path)
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type) == ("images", "tensor(uint8)")
    assert taken.shape == ["batch", "height", "width", 3]
    for shape in ((1, 3, 4), (5, 6, 2)):
        inputs = {"images": pictures(*shape)}
        np.testing.assert_allclose(
            run(session, inputs)["forward_graphs"],
            predictor(inputs)["forward_graphs"],
            atol=TOLERANCE,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype",
    [
        "mixed_bfloat16",
        "bfloat16",
        "float16",
    ],
)
def test_other_precisions_are_written_in_float32(tmp_path, dtype):
    runtime = pytest.importorskip("onnxruntime")
    predictor = small_predictor(dtype=dtype)
    session = runtime.InferenceSession(
        export_onnx(predictor, tmp_path / "small.onnx")
    )
    in_float32 = small_predictor(dtype="float32")
    in_float32.set_weights(predictor.get_weights())
    ids = np.array([[2, 3, 4]], "int32")
    inputs = {"token_ids": ids, "padding_mask": ids > 0}
    wanted = in_float32(inputs)
    for name, graph in run(session, inputs).items():
        np.testing.assert_allclose(graph, wanted[name], atol=TOLERANCE)


def test_a_precision_that_cannot_be_changed_is_refused(tmp_path):
    predictor = small_predictor(dtype="mixed_bfloat16")
    predictor = keras.Model(predictor.input, predictor.output)
    with pytest.raises(ValueError, match=r"float32.*\['bfloat16'\]"):
        export_onnx(predictor, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "kept.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match="Received: .*kept.onnx"):
        export_onnx(small_predictor(), tmp_path / "kept.onnx")
    assert (tmp_path / "kept.onnx").read_text() == "mine"


def test_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'glomo-keras\[onnx\]'"):
        export_onnx(small_predictor(), tmp_path / "new" / "small.onnx")
    assert list(tmp_path.iterdir()) == []
