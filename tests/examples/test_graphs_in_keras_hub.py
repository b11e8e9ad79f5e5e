"""Graphs of words in a BERT of KerasHub, made from a config."""

import keras
import numpy as np
import pytest

pytest.importorskip("keras_hub")
if keras.backend.backend() != "tensorflow":
    pytest.skip("the tokenizers need TensorFlow", allow_module_level=True)

from examples import graphs_in_keras_hub  # noqa: E402


@pytest.fixture(scope="module")
def trained():
    return graphs_in_keras_hub.main(epochs=2)


def test_rows_on_pieces_sum_to_one_or_zero(trained):
    _, inputs = trained
    for name in ("forward_graphs", "backward_graphs"):
        sums = inputs[name].sum(-1)  # (B, L, K, S)
        assert np.all((np.abs(sums - 1) < 1e-5) | (sums == 0))
        assert not sums[..., 0].any()  # [CLS] is no word
    # the first word before all others, in the first text
    assert (inputs["forward_graphs"][0, :, :, 2, 1] == 1).any()


def test_graphs_change_what_the_model_says(trained):
    model, inputs = trained
    without = {
        name: np.zeros_like(value) if "graphs" in name else value
        for name, value in inputs.items()
    }
    outputs = model.predict_on_batch(inputs)
    assert outputs.shape == (4, 2)
    assert np.abs(outputs - model.predict_on_batch(without)).max() > 1e-4
