import ast
import os
import pathlib
import subprocess
import sys

import pytest

import glomo_keras as gk
from glomo_keras import serving

ROOT = pathlib.Path(__file__).parents[1]
# Keras stores weights by h5py; presets of format 1 are read by it.
ALLOWED = {"keras", "numpy", "h5py", "glomo_keras", *sys.stdlib_module_names}
OWN = {
    "ops": {"ops"},
    "layers": {"layers", "ops"},
    "models": {
        "models",
        "layers",
        "ops",
        "metrics",
        "bundled_presets",
        "utils",
    },
}


def imported(path):
    """Names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "glomo_keras":
                yield from (f"glomo_keras.{a.name}" for a in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("area", sorted(OWN))
def test_ops_layers_and_models_import_keras_and_numpy_alone(area):
    for path in (ROOT / "glomo_keras" / area).glob("*.py"):
        for name in imported(path):
            first, *rest = name.split(".")
            assert first in ALLOWED, f"{path} imports {name}"
            assert not name.startswith("keras.src"), f"{path} imports {name}"
            if first == "glomo_keras":
                assert rest[0] in OWN[area], f"{path} imports {name}"


def test_library_never_imports_a_recipe():
    for path in (ROOT / "glomo_keras").rglob("*.py"):
        assert not any(name.startswith("recipes") for name in imported(path))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            gk,
            {
                "ContextPretrainer",
                "FeaturePredictor",
                "GraphPredictor",
                "ImageClassifier",
                "ImageGraphPredictor",
                "PixelPretrainer",
                "layers",
                "metrics",
                "models",
            },
        ),
        (
            gk.layers,
            {
                "AttentionPooling",
                "BiAttention",
                "BidirectionalGRU",
                "CharacterCNN",
                "ContextDecoder",
                "Elmo",
                "ElmoLanguageModel",
                "FeatureComposition",
                "GatedGraphFusion",
                "GraphMessages",
                "GraphMixture",
                "GraphTransfer",
                "GraphWeightedSum",
                "MaskedKeyQueryConv",
                "MeanMaxPooling",
                "MessageTransfer",
                "PixelCoordinates",
                "PixelEmbedding",
                "PixelWindowDecoder",
                "ScalarMix",
                "SoftAlignment",
                "SpanPointer",
                "SquaredReLUGraph",
                "UniformGraph",
            },
        ),
        (
            gk.models,
            {
                "ContextPretrainer",
                "CoupledGraphPredictor",
                "FeaturePredictor",
                "GivenGraphs",
                "GraphPredictor",
                "ImageClassifier",
                "ImageGraphPredictor",
                "PairClassifier",
                "PixelPretrainer",
                "PredictedGraphs",
                "SpanReader",
                "TextClassifier",
            },
        ),
        (
            serving,
            {
                "GraphClient",
                "ServingError",
                "export_onnx",
                "export_saved_model",
            },
        ),
    ],
)
def test_public_names(module, names):
    assert set(module.__all__) == names
    assert all(hasattr(module, name) for name in names)
    assert module.__all__ == sorted(module.__all__)


def test_import_needs_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None; import glomo_keras; "
        "glomo_keras.layers.GraphTransfer()"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )
