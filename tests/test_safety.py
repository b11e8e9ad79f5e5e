"""Nothing in the package or the recipes runs code that a file brings along."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve"}
# CIFAR's official batches are pickles: it reads them with an unpickler that
# makes arrays, lists and strings alone.
READS_PICKLES = {"glomo_keras/data/images/cifar_batches.py"}
UNSAFE_OPTIONS = {("safe_mode", False), ("allow_pickle", True)}
UNSAFE_NAMES = {"Lambda", "enable_unsafe_deserialization"}


def faults(source):
    """What a file does that it must not, in words.

    Args:
        source: string, Python.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or ""]
            names += [alias.name for alias in node.names]
            roots = {name.split(".")[0] for name in names}
            yield from (f"imports {name}" for name in roots & PICKLES)
            yield from (f"imports {x}" for x in set(names) & UNSAFE_NAMES)
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_NAMES:
            yield f"uses {node.attr}"
        elif isinstance(node, ast.keyword) and isinstance(
            node.value, ast.Constant
        ):
            if (node.arg, node.value.value) in UNSAFE_OPTIONS:
                yield f"passes {node.arg}={node.value.value}"


def files():
    for folder in ("glomo_keras", "recipes"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_no_pickle_no_lambda_layer_and_safe_mode_stays_on():
    found = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        faulty = sorted(faults(path.read_text("utf-8")))
        if name in READS_PICKLES:
            faulty = [fault for fault in faulty if fault != "imports pickle"]
        if faulty:
            found[name] = faulty
    assert found == {}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pickle", "imports pickle"),
        ("from dill import loads", "imports dill"),
        ("import keras\nkeras.layers.Lambda(abs)", "uses Lambda"),
        ("from keras.layers import Lambda", "imports Lambda"),
        ("load_model('x', safe_mode=False)", "passes safe_mode=False"),
        ("np.load('x', allow_pickle=True)", "passes allow_pickle=True"),
        (
            "keras.config.enable_unsafe_deserialization()",
            "uses enable_unsafe_deserialization",
        ),
    ],
)
def test_fault_is_found(source, fault):
    assert list(faults(source)) == [fault]


def test_files_that_come_along_are_data():
    folders = (ROOT / "glomo_keras" / "presets", ROOT / "saved_models")
    kinds = {
        path.suffix
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert kinds.isdisjoint({".pkl", ".pickle", ".pt", ".pth", ".py", ".npy"})
    for path in folders[0].glob("*/config.json"):
        assert "Lambda" not in path.read_text("utf-8")
