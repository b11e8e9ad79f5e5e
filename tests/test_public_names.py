import ast
import os
import pathlib
import subprocess
import sys

import pytest

import glomo_keras as gk

PACKAGE = pathlib.Path(gk.__file__).parent
BACKEND_FREE = sorted(
    path
    for area in ("ops", "layers", "models")
    for path in (PACKAGE / area).glob("*.py")
)
NOT_BELOW = {"ops": {"layers", "models"}, "layers": {"models"}, "models": set()}


def imported(path):
    """Dotted names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", BACKEND_FREE, ids=lambda p: p.stem)
def test_only_keras_and_numpy_are_imported(path):
    allowed = {"keras", "numpy", "glomo_keras", *sys.stdlib_module_names}
    assert {name.split(".")[0] for name in imported(path)} <= allowed


@pytest.mark.parametrize("path", BACKEND_FREE, ids=lambda p: p.stem)
def test_imports_go_one_way(path):
    own = {
        n.split(".")[1] for n in imported(path) if n.startswith("glomo_keras.")
    }
    outside = {"data", "serving", "analysis", "training"}
    assert not own & (outside | NOT_BELOW[path.parent.name])


def test_library_never_imports_a_recipe():
    for path in PACKAGE.rglob("*.py"):
        assert not any(n.split(".")[0] == "recipes" for n in imported(path))


def test_public_names():
    assert gk.__all__ == [
        "ContextPretrainer",
        "FeaturePredictor",
        "GraphPredictor",
        "layers",
        "metrics",
        "models",
    ]
    assert gk.layers.__all__ == [
        "ContextDecoder",
        "FeatureComposition",
        "GatedGraphFusion",
        "GraphMixture",
        "GraphTransfer",
        "GraphWeightedSum",
        "MaskedKeyQueryConv",
        "SquaredReLUGraph",
        "UniformGraph",
    ]
    assert gk.models.__all__ == gk.__all__[:3]
    for module in (gk, gk.layers, gk.models):
        assert all(hasattr(module, name) for name in module.__all__)


def test_package_imports_on_jax_without_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None; "
        "import glomo_keras, glomo_keras.data, glomo_keras.training, "
        "glomo_keras.serving, glomo_keras.analysis; "
        "print(glomo_keras.GraphPredictor(5, 4, 1, 2).count_params())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
