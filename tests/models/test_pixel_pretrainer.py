import keras
import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.ops.pixels import window_indices
from tests.backends import to_numpy
from tests.models.small_models import arrays
from tests.models.small_models import randomised
from tests.models.test_image_graph_predictor import SIZES
from tests.models.test_image_graph_predictor import UNITS
from tests.models.test_image_graph_predictor import changed
from tests.models.test_image_graph_predictor import images

TOLERANCE = 1e-5


def make_pretrainer(bidirectional=False, num_heads=2, **kwargs):
    predictor = gk.ImageGraphPredictor(
        **{**SIZES, "num_heads": num_heads}, bidirectional=bidirectional
    )
    return gk.PixelPretrainer(predictor, seed=0, **kwargs)


def small_pretrainer(**kwargs):
    return randomised(make_pretrainer(**kwargs))


@pytest.mark.parametrize(
    ("order", "anchor"),
    [("rgb", "centre"), ("bgr", "centre"), ("gbr", "corner")],
)
def test_no_prediction_sees_its_target_or_a_later_value(order, anchor):
    pretrainer = small_pretrainer(
        channel_order=order, anchor=anchor, bidirectional=True
    )
    x = images()
    height, width = x.shape[1:3]
    places = [(unit, place) for unit in (0, 5) for place in range(3)]
    others = [changed(x, unit, "rgb".index(order[p])) for unit, p in places]
    before = to_numpy(pretrainer.logits(x.repeat(len(places), 0)))
    after = to_numpy(pretrainer.logits(np.concatenate(others)))
    for row, (unit, place) in enumerate(places):
        for direction, sign in (("forward", 1), ("backward", -1)):
            offsets = pretrainer.decoders[direction].offsets
            targets, inside = window_indices(
                np.arange(UNITS), offsets, height, width
            )
            targets, inside = to_numpy(targets), to_numpy(inside)
            same = np.all(before[direction][row] == after[direction][row], -1)
            earlier = inside & (sign * (targets - unit) < 0)
            assert np.all(same[earlier])  # all channels of these pixels
            channels = ["rgb".index(c) for c in order[: place + 1]]
            itself = inside & (targets == unit)
            assert np.all(same[itself][:, channels])
            later = ["rgb".index(c) for c in order[place + 1 :]]
            assert not np.any(same[itself][:, later])


def test_losses_are_those_of_the_logits():
    pretrainer = small_pretrainer()
    x = images(count=2)
    logits = to_numpy(pretrainer.logits(x))["forward"].astype("float64")
    losses, inside = pretrainer.target_losses(x)["forward"]
    targets, _ = window_indices(
        np.arange(UNITS), pretrainer.decoders["forward"].offsets, 3, 4
    )
    values = x.reshape(2, UNITS, 3)[:, to_numpy(targets)].astype(int)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(logs, values[..., None], -1)[..., 0]
    np.testing.assert_allclose(to_numpy(losses), expected, atol=TOLERANCE)
    mean = expected[:, to_numpy(inside)].mean()
    found = to_numpy(pretrainer({"images": x}))
    np.testing.assert_allclose(found["loss"], mean, rtol=TOLERANCE)


def test_positions_give_the_rows_of_all():
    pretrainer = small_pretrainer()
    positions = np.array([7, 0, 3])
    some = to_numpy(pretrainer.logits(images(), positions))["forward"]
    every = to_numpy(pretrainer.logits(images()))["forward"]
    np.testing.assert_allclose(some, every[:, positions], atol=TOLERANCE)


@pytest.mark.slow
def test_training_learns_a_constant_image():
    keras.utils.set_random_seed(0)
    small = {**SIZES, "num_conv_layers": 1, "num_graph_layers": 1}
    predictor = gk.ImageGraphPredictor(**small, bidirectional=True)
    pretrainer = gk.PixelPretrainer(
        predictor, window_size=2, anchor="corner", num_positions=6, seed=0
    )
    pretrainer.compile(keras.optimizers.Adam(0.03))
    x = {"images": np.full((8, 3, 4, 3), 100, "uint8")}
    before = [a.copy() for a in arrays(pretrainer)]
    history = pretrainer.fit(x, batch_size=4, epochs=8, verbose=0).history
    bits = history["bits_per_dim"]
    assert bits[0] > 6 and bits[-1] < bits[0] - 2
    np.testing.assert_allclose(
        bits[-1], history["loss"][-1] / np.log(2), rtol=1e-4
    )
    assert "backward_bits_per_dim" in history
    moved = [
        np.any(a != b) for a, b in zip(before, arrays(pretrainer), strict=True)
    ]
    names = [w.path for w in pretrainer.weights]
    still = [n for n, m in zip(names, moved, strict=True) if not m]
    assert all("shift" in n or "seed" in n for n in still), still


def test_preset_round_trip(tmp_path):
    pretrainer = small_pretrainer(anchor="corner", channel_order="bgr")
    pretrainer.graph_predictor.trainable = False
    pretrainer.save_to_preset(tmp_path)
    loaded = gk.PixelPretrainer.from_preset(tmp_path)
    assert loaded.get_config() == pretrainer.get_config()
    assert not loaded.graph_predictor.trainable
    np.testing.assert_array_equal(
        to_numpy(loaded.logits(images()))["forward"],
        to_numpy(pretrainer.logits(images()))["forward"],
    )
    predictor = gk.ImageGraphPredictor.from_preset(tmp_path)
    assert not predictor.trainable


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="must divide.*Received: num_heads=3"):
        make_pretrainer(num_heads=3)


def test_predictor_of_texts_is_refused():
    predictor = gk.GraphPredictor(9, 8, num_heads=2)
    with pytest.raises(ValueError, match="ImageGraphPredictor. Received: "):
        gk.PixelPretrainer(predictor)
