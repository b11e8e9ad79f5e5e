import numpy as np
import pytest
from keras import ops

from glomo_keras.layers import SpanPointer
from tests import reference
from tests.backends import to_numpy
from tests.backends import value_and_gradients
from tests.layers.graph_inputs import features
from tests.layers.graph_inputs import padding_mask
from tests.layers.run_layer_test import run_layer_test

NAMES = ("start_logits", "end_logits")


def state(width=5):
    return np.random.default_rng(3).normal(size=(2, width)).astype("float32")


def test_layer(tmp_path):
    run_layer_test(
        SpanPointer,
        {"units": 3, "dropout": 0.1, "seed": 1},
        {"features": features(), "state": state()},
        tmp_path,
        dict.fromkeys(NAMES, (2, 7)),
        num_weights=5,
        float32_outputs=True,
    )


def test_logits_equal_the_formula_and_padding_counts_nothing():
    layer, x, s, mask = SpanPointer(3), features(), state(), padding_mask()
    found = to_numpy(layer(x, s, features_mask=mask))
    kernel = to_numpy(layer.kernel)
    vector = to_numpy(layer.score_dense.kernel)
    cell = [to_numpy(w) for w in layer.cell.weights]

    def logits(units, summary):
        joined = [np.concatenate([summary, unit]) for unit in units]
        return (np.tanh(np.array(joined) @ kernel) @ vector)[:, 0]

    for b in range(2):
        real = x[b][mask[b]]
        start = logits(real, s[b])
        answer = reference.softmax(start) @ real
        end = logits(real, reference.gru_cell(answer, s[b], *cell))
        for name, expected in zip(NAMES, (start, end), strict=True):
            row = found[name][b]
            np.testing.assert_allclose(row[mask[b]], expected, atol=1e-5)
            assert np.all(row[~mask[b]] == np.float32(-1e30))
    other = np.where(mask[..., None], x, 1e3).astype("float32")
    again = to_numpy(layer(other, s, features_mask=mask))
    for name in NAMES:
        np.testing.assert_array_equal(again[name], found[name])


def test_gradient_is_finite_with_an_empty_text():
    layer, mask = SpanPointer(3), padding_mask(lengths=(7, 0))
    _, gradients = value_and_gradients(
        lambda x, s: ops.sum(
            ops.where(mask, layer(x, s, features_mask=mask)["end_logits"], 0.0)
        ),
        [features(), state()],
    )
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


@pytest.mark.parametrize(
    ("options", "x", "s", "message"),
    [
        ({"units": 0}, (2, 7, 8), (2, 5), "`units` must be"),
        ({"units": 3, "dropout": 1}, (2, 7, 8), (2, 5), "`dropout` must be"),
        ({"units": 3}, (2, 7), (2, 5), "`features` must have shape"),
        ({"units": 3}, (2, 7, 8), (2, 1, 5), "`state` must have shape"),
    ],
)
def test_wrong_arguments_are_refused(options, x, s, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        SpanPointer(**options)(np.zeros(x, "float32"), np.zeros(s, "float32"))
