"""A frozen graph predictor as an ONNX file, for ONNX Runtime and the like."""

import itertools
from pathlib import Path

from glomo_keras.serving import answers
from glomo_keras.serving import checks
from glomo_keras.utils.files import atomic_file

# The newest that tf2onnx 1.17 knows; ONNX Runtime reads it since 1.14.
OPSET = 18
FREE_AXES = {
    "token_ids": ("batch", "units"),
    "padding_mask": ("batch", "units"),
    "images": ("batch", "height", "width"),
}


def export_onnx(predictor, path):
    """Writes what the signature `from_ids` computes as an ONNX file.

    It runs in inference mode and in float32, on CPUs and accelerators that
    ONNX Runtime knows, without TensorFlow and Keras. Batch B and units T are
    free. Inputs and outputs have the names of the predictor's, see
    `export_saved_model`; texts, mixtures and limits are left to the caller.

    The file appears complete or not at all.

    Args:
        predictor: functional `keras.Model`, see `export_saved_model`.
        path: path of the file; its folder is made if missing.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        FileExistsError: if the file is there already.
        ImportError: if `tf2onnx` and `onnx` are not installed.
        RuntimeError: if Keras does not run on TensorFlow.
        ValueError: if the inputs or outputs have other names.

    Example:

    ```python
    predictor = gk.GraphPredictor.from_preset("glomo_small_en")
    export_onnx(predictor, "glomo_small_en.onnx")
    session = onnxruntime.InferenceSession("glomo_small_en.onnx")
    backward, forward = session.run(
        ["backward_graphs", "forward_graphs"],
        {"token_ids": token_ids, "padding_mask": padding_mask},
    )
    ```
    """
    checks.check_backend("An ONNX file")
    checks.check_predictor(predictor)
    convert, update_model_dims = _import_converters()
    path = Path(path)
    checks.refuse_existing(path)
    graphs = answers.graph_function(predictor)
    model, _ = convert.from_function(graphs, graphs.input_signature, OPSET)
    model = update_model_dims.update_inputs_outputs_dims(
        model, *_axes(predictor)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, "wb") as file:
        file.write(model.SerializeToString())
    return path


def _import_converters():
    try:
        from onnx.tools import update_model_dims
        from tf2onnx import convert
    except ImportError as error:
        raise ImportError(
            "An ONNX file needs the packages tf2onnx and onnx: "
            f"pip install 'glomo-keras[onnx]'. Received: {error}"
        ) from error
    return convert, update_model_dims


def _axes(predictor):
    """Names or sizes of all axes: a dict of the inputs, one of the outputs."""
    taken = {
        name: _named(tensor.shape, FREE_AXES[name])
        for name, tensor in predictor.input.items()
    }
    given = {
        name: ["batch", *tensor.shape[1:3], "units", "units"]
        for name, tensor in predictor.output.items()
    }
    return taken, given


def _named(shape, names):
    return [size or name for size, name in itertools.zip_longest(shape, names)]
