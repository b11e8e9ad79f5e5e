"""Long inputs: the peak of a process of its own."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests.backends import needs_tensorflow

ROOT = pathlib.Path(__file__).parents[2]
LIMIT = 1.5e9  # bytes; the materialised graphs alone would take 3.2e9

CODE = r"""
    import pathlib
    import re
    import sys

    import keras
    import numpy as np

    import glomo_keras as gk

    length = 4096
    predictor = gk.GraphPredictor(
        100, embedding_dim=64, num_heads=8, key_dim=64, num_graph_layers=3
    )
    inputs = {
        "token_ids": np.arange(length)[None] % 100,
        "padding_mask": np.ones((1, length), bool),
    }
    features = np.ones((1, length, 64), "float32")
    layer = gk.layers.GraphTransfer(num_mixtures=2)
    if sys.argv[1] == "call":
        outputs = layer(features, predictor.factored()(inputs))
    else:
        symbol = keras.Input((None, 64), name="features")
        model = keras.Model(
            {**predictor.input, "features": symbol},
            layer(symbol, predictor.factored()(predictor.input)),
        )
        outputs = model.predict({**inputs, "features": features}, verbose=0)
    assert outputs.shape == (1, length, 128)
    # getrusage would count what the parent had when it forked.
    status = pathlib.Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024)
"""


@needs_tensorflow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
@pytest.mark.parametrize("way", ["call", "predict"])
def test_predictor_and_transfer_of_4096_positions_stay_small(way):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), way],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < LIMIT
