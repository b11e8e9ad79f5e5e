"""A frozen graph predictor as an ONNX file, for ONNX Runtime and the like."""

import itertools
from pathlib import Path

from glomo_keras.models.frozen_layer import frozen_copy
from glomo_keras.models.network_model import compute_dtypes
from glomo_keras.serving import checks
from glomo_keras.serving.signatures import graph_function
from glomo_keras.utils.files import atomic_file

# The newest that tf2onnx 1.17 knows; ONNX Runtime reads it since 1.14.
OPSET = 18
FREE_AXES = {
    "token_ids": ("batch", "positions"),
    "padding_mask": ("batch", "positions"),
    "images": ("batch", "height", "width"),
}


def export_onnx(predictor, path):
    """Writes the graphs of a predictor, as `from_ids` gives them, as ONNX.

    The file runs in inference mode on the CPUs and accelerators that ONNX
    Runtime knows, without TensorFlow and Keras. The batch size B and the
    number of positions T are free. Inputs and outputs have the names of the
    predictor's, see `export_saved_model`; texts, mixtures and limits are left
    to the caller.

    It computes in float32 whatever the predictor's policy: ONNX has no
    bfloat16 for most operations.

    The file appears complete or not at all.

    Args:
        predictor: Functional `keras.Model`, see `export_saved_model`.
        path: The file; its folder is made if missing.

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        FileExistsError: If the file is there already.
        ImportError: If `tf2onnx` and `onnx` are not installed.
        RuntimeError: If Keras does not run on TensorFlow.
        ValueError: If the inputs or outputs have other names, or a predictor
            of another precision cannot be made again in float32.

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
    checks.check_new(path)
    predictor = _in_float32(predictor)
    graphs = graph_function(predictor)
    model, _ = convert.from_function(graphs, graphs.input_signature, OPSET)
    model = update_model_dims.update_inputs_outputs_dims(
        model, *_axes(predictor)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, "wb") as file:
        file.write(model.SerializeToString())
    return path


def _in_float32(predictor):
    """Returns the predictor, or its copy in float32 if it computes otherwise.

    Raises:
        ValueError: If its layers say their precision each for itself.
    """
    computed = compute_dtypes(predictor)
    if computed <= {"float32"}:
        return predictor
    if "dtype" not in predictor.get_config():
        raise ValueError(
            "An ONNX file computes in float32: make the predictor with "
            'dtype="float32" and give it the weights of this one. '
            f"Received: a {type(predictor).__name__} that computes in "
            f"{sorted(computed)}"
        )
    return frozen_copy(predictor, "float32")


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
    """Returns names or sizes of all axes of the inputs and of the outputs."""
    taken = {
        name: _named(tensor.shape, FREE_AXES[name])
        for name, tensor in predictor.input.items()
    }
    given = {
        name: ["batch", *tensor.shape[1:3], "positions", "positions"]
        for name, tensor in predictor.output.items()
    }
    return taken, given


def _named(shape, names):
    return [size or name for size, name in itertools.zip_longest(shape, names)]
