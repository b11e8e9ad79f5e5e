"""What pretrainers and the probe have in common."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.models.small_models import inputs as small_inputs

LENGTHS = (9, 1, 6, 2, 1, 1)  # in batches of 2, the last predicts nothing


def text_model(kind):
    keras.utils.set_random_seed(0)
    predictor = gk.GraphPredictor(
        30, 8, num_heads=2, key_dim=4, num_graph_layers=2, num_conv_layers=1
    )
    if kind == "probe":
        return gk.models.TransferProbe(
            30, gk.layers.UniformGraph(), embedding_dim=8
        )
    if kind == "skip_thought":
        return gk.models.SkipThoughtPretrainer(predictor)
    return gk.ContextPretrainer(predictor)


@pytest.mark.parametrize("kind", ["context", "probe", "skip_thought"])
def test_evaluation_is_the_same_for_all_sizes_of_batches(kind):
    model = text_model(kind)
    model.compile("adam")
    ids = np.random.default_rng(0).integers(2, 30, (len(LENGTHS), 9))
    mask = np.arange(9) < np.array(LENGTHS)[:, None]
    inputs = {"token_ids": np.where(mask, ids, 0), "padding_mask": mask}
    whole = model.evaluate(inputs, batch_size=6, return_dict=True, verbose=0)
    names = ("forward_perplexity", "backward_perplexity")
    for size in (1, 2, 4):
        found = model.evaluate(
            inputs, batch_size=size, return_dict=True, verbose=0
        )
        for name in names:
            assert found[name] == pytest.approx(whole[name], rel=1e-5)
        if kind != "skip_thought":  # whose halves differ in length
            assert found["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert whole["loss"] == pytest.approx(
        np.mean(np.log([whole[name] for name in names])), rel=1e-5
    )


def test_pixels_of_a_smaller_last_batch_count_once():
    keras.utils.set_random_seed(0)
    predictor = gk.ImageGraphPredictor(
        8, num_heads=2, key_dim=4, num_graph_layers=1, num_conv_layers=1
    )
    model = gk.PixelPretrainer(predictor)
    model.compile("adam")
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), "uint8")
    images[2] = 0
    found = [
        model.evaluate(
            {"images": images}, batch_size=size, return_dict=True, verbose=0
        )
        for size in (3, 2)
    ]
    for name in ("loss", "bits_per_dim"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-5)


@pytest.mark.parametrize("kind", ["context", "probe", "skip_thought"])
def test_missing_inputs_are_named(kind):
    model = text_model(kind)
    ids = np.ones((2, 5), "int32")
    for given in (ids, {"token_ids": ids}):
        with pytest.raises(ValueError, match="token_ids, padding_mask. Rec"):
            model(given)


def test_targets_are_refused():
    model = gk.models.TransferProbe(9, None, embedding_dim=4)
    model.compile("sgd")
    with pytest.raises(ValueError, match="TransferProbe computes its own los"):
        model.fit(small_inputs(), np.ones(2), verbose=0)
