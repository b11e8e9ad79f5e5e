"""Bits per dimension of images: baselines and model."""

import numpy as np
import pytest

import glomo_keras as gk
from recipes.vision import evaluate
from tests.models.small_models import randomised
from tests.models.test_image_graph_predictor import SIZES


def images(count=6, seed=0, high=256):
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, (count, 4, 5, 3)).astype("uint8")


def test_histogram_is_the_code_of_frequencies():
    train = images(high=4)
    bits = evaluate.baseline_bits(train, train)["histogram"]
    for channel in range(3):
        values = train[..., channel].ravel()
        counts = np.bincount(values, minlength=256) + 1
        expected = -np.log2(counts[values] / counts.sum())
        np.testing.assert_allclose(bits[..., channel].ravel(), expected)


def test_copies_are_distributions_fitted_to_errors():
    tables = evaluate.copy_tables(images(), axis=2)
    np.testing.assert_allclose(tables.sum(-1), 1)
    steps = np.tile(np.arange(5, dtype="uint8")[None, :, None], (4, 1, 3))
    rising = steps[None] + 100  # always one more than the left pixel
    bits = evaluate.baseline_bits(rising, rising)
    values = np.arange(256)
    counts = 1 + 16 * (values - 100 == 1)  # 16 errors of 1, and one of each
    expected = -np.log2(17 / counts.sum())
    np.testing.assert_allclose(bits["copy_left"][:, :, 1:], expected, rtol=1e-6)
    assert np.all(bits["copy_left"][:, 0, 0] == bits["histogram"][:, 0, 0])


def test_first_column_copies_from_above():
    rows = np.arange(4, dtype="uint8")[:, None, None] * np.ones((1, 5, 3))
    down = (100 + rows)[None].astype("uint8")  # one more than above
    bits = evaluate.baseline_bits(down, down)["copy_left"]
    counts = 1 + 15 * (np.arange(256) - 100 == 1)
    np.testing.assert_allclose(bits[:, 1:, 0], -np.log2(16 / counts.sum()))


@pytest.mark.parametrize(
    "anchor", [pytest.param("centre", marks=pytest.mark.slow), "corner"]
)
def test_model_codes_each_value_once_from_what_comes_before(anchor):
    pretrainer = randomised(
        gk.PixelPretrainer(
            gk.ImageGraphPredictor(**SIZES, bidirectional=True),
            anchor=anchor,
            channel_order="bgr",
        )
    )
    train, x = images(seed=1), images(3)
    bits = evaluate.model_bits(pretrainer, train, x, batch_size=2)
    first = -np.log2(evaluate.histograms(train))
    for direction, sign in (("forward", 1), ("backward", -1)):
        losses = pretrainer.target_losses(x)[direction][0]
        losses = np.asarray(losses).reshape(3, 4, 5, -1, 3) / np.log(2)
        offsets = pretrainer.decoders[direction].offsets.tolist()
        for r in range(4):
            for c in range(5):
                from_beside, from_above = (r, c - sign), (r - sign, c)
                found = bits[direction][:, r, c]
                if 0 <= from_beside[1] < 5:
                    d = offsets.index([0, sign])
                    expected = losses[:, *from_beside, d]
                elif 0 <= from_above[0] < 4:
                    d = offsets.index([sign, 0])
                    expected = losses[:, *from_above, d]
                else:
                    expected = first[np.arange(3), x[:, r, c]]
                np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_untrained_model_codes_about_eight_bits():
    pretrainer = gk.PixelPretrainer(gk.ImageGraphPredictor(**SIZES))
    bits = evaluate.model_bits(pretrainer, images(), images(2))
    assert abs(bits["forward"].mean() - 8) < 0.5
