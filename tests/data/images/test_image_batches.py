import re

import numpy as np
import pytest

from glomo_keras import data


def images(count=10, size=6):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (count, size, size, 3)).astype("uint8")
    values[:, :, :, 0] = np.arange(count)[:, None, None]  # who it is
    return values


def test_crops_are_a_pure_function_of_seed_and_step():
    batches = data.CropBatches(images(), batch_size=4, crop=3, seed=5)
    again = data.CropBatches(images(), batch_size=4, crop=3, seed=5)
    for step in (7, 0, 3):
        np.testing.assert_array_equal(
            batches.batch(step)["images"], again.batch(step)["images"]
        )
    places = set()
    for step in range(40):
        crops = batches.batch(step)["images"]
        whole = images()[crops[:, 0, 0, 0]]
        found = [
            (r, c)
            for r in range(4)
            for c in range(4)
            if np.array_equal(whole[:, r : r + 3, c : c + 3], crops)
        ]
        places |= set(found)
        assert len(found) == 1
    assert len(places) > 10


def test_an_epoch_shows_each_image_once():
    batches = data.CropBatches(images(12), batch_size=4, crop=6)
    epochs = []
    for epoch in range(2):
        steps = range(3 * epoch, 3 * epoch + 3)
        shown = [batches.batch(s)["images"][:, 0, 0, 0] for s in steps]
        assert sorted(np.concatenate(shown).tolist()) == list(range(12))
        epochs.append(np.concatenate(shown).tolist())
    assert epochs[0] != epochs[1]


def test_evaluation_crops_are_the_middles():
    batches = data.EvaluationCrops(images(), batch_size=4, crop=2)
    assert len(batches) == 2
    np.testing.assert_array_equal(
        batches.batch(1)["images"], images()[4:8, 2:4, 2:4]
    )
    with pytest.raises(IndexError, match="2 batches.*step=2"):
        batches.batch(2)


def test_labelled_batches_mirror_half():
    x = images(40)
    batches = data.LabelledBatches(x, np.arange(40) * 2, batch_size=20, seed=1)
    mirrored = 0
    for step in range(20):
        inputs, targets = batches.batch(step)
        for image, label in zip(
            inputs["images"], targets["logits"], strict=True
        ):
            original = x[label // 2]
            flipped = np.array_equal(image, original[:, ::-1])
            assert flipped or np.array_equal(image, original)
            mirrored += flipped
    assert 150 < mirrored < 250


def test_evaluation_images_come_in_order_as_they_are():
    batches = data.EvaluationImages(images(), np.arange(10), batch_size=4)
    shown = [batches.batch(step) for step in range(len(batches))]
    found = np.concatenate([inputs["images"] for inputs, _ in shown])
    np.testing.assert_array_equal(found, images())
    labels = np.concatenate([targets["logits"] for _, targets in shown])
    assert labels.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.CropBatches(images(), 11, 3), "Received: batch_size=11"),
        (lambda: data.CropBatches(images(), 2, 7), "Received: crop=7"),
        (lambda: data.EvaluationCrops(images(), 0, 3), "batch_size=0"),
        (lambda: data.EvaluationCrops(images(), 4, 99), "crop=99"),
        (lambda: data.LabelledBatches(images(), [0] * 9, 2), "9 labels"),
        (lambda: data.EvaluationImages(images(), [0] * 11, 2), "11 labels"),
        (lambda: data.EvaluationImages(images(), [0] * 10, 0), "batch_size=0"),
        (lambda: data.CropBatches(images()[:, :4], 2, 3), "(N, S, S, 3)"),
        (lambda: data.EvaluationCrops(images()[:, :4], 2, 3), "(N, S, S, 3)"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
