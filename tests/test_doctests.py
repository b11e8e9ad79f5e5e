"""The examples in the docstrings of the library run, and print what they say.

Examples that need TensorFlow are run on TensorFlow; a module that cannot be
imported here fails, it is not skipped, but for those of an extra that other
packages do not go with.
"""

import doctest
import importlib
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDS = {"glomo_keras.serving.edges_on_beam": "apache_beam"}
LONG = {  # seconds each
    "glomo_keras.models.context_pretrainer",
    "glomo_keras.models.graph_predictor",
    "glomo_keras.models.pixel_pretrainer",
    "glomo_keras.models.predicted_graphs",
    "glomo_keras.models.skip_thought_pretrainer",
    "glomo_keras.models.transfer_probe",
    "glomo_keras.tuning.graph_hyper_model",
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_names():
    """Names of all modules of the library, from its files."""
    files = sorted((ROOT / "glomo_keras").rglob("*.py"))
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    return [".".join(part).removesuffix(".__init__") for part in parts]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
        for name in module_names()
    ],
)
def test_docstring_examples_run(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(tmp_path)  # examples may write files
    keras.utils.set_random_seed(0)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=OPTIONS).failed == 0
