import numpy as np
import pytest


@pytest.fixture
def sources(tmp_path):
    """Three files of 40 lines; shards of about 100 words."""
    folder = tmp_path / "texts"
    folder.mkdir()
    rng = np.random.default_rng(0)
    words = [f"word{chr(97 + i)}" for i in range(20)] + ["Don't", "3.5"]
    for name in "abc":
        lines = [" ".join(rng.choice(words, 8)) for _ in range(40)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder
