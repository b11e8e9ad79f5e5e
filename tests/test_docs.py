"""The Python blocks of the README and the documents run as they stand.

docs/serving.md is left out: its blocks need a server or an exported file.
"""

import pathlib
import re

import keras
import matplotlib.pyplot as plt
import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if path.name != "serving.md" and "```python" in path.read_text("utf-8")
]


# KerasTuner uses names that Python has deprecated.
@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow)
        if path.name == "tuning.md"  # a search
        else path
        for path in DOCUMENTS
    ],
    ids=[path.name for path in DOCUMENTS],
)
def test_python_blocks_run(path, tmp_path, monkeypatch):
    if path.name != "README.md" and keras.backend.backend() != "tensorflow":
        pytest.skip("some blocks need TensorFlow: the tuner, the export")
    monkeypatch.chdir(tmp_path)
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    exec(compile("\n".join(blocks), path.name, "exec"), {})  # noqa: S102
    plt.close("all")


def test_readme_runs_code():
    assert ROOT / "README.md" in DOCUMENTS


def test_links_lead_to_files():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"
