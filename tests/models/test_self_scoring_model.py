"""What pretrainers and the probe have in common."""

import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests.backends import to_numpy
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


@pytest.mark.parametrize("kind", ["context", "probe", "skip_thought"])
def test_no_predictions_have_no_perplexity(kind):
    model = text_model(kind)
    model.compile("adam")
    ids = np.ones((2, 5), "int32")
    nothing = {"token_ids": ids, "padding_mask": ids < 0}
    found = model.evaluate(nothing, return_dict=True, verbose=0)
    for name in ("forward_perplexity", "backward_perplexity"):
        assert np.isnan(found[name])


def test_a_first_batch_without_predictions_does_not_end_the_training():
    model = text_model("probe")
    model.compile("adam")
    given = small_inputs()
    given["padding_mask"] = np.concatenate(
        [np.zeros_like(given["padding_mask"]), given["padding_mask"]]
    )
    given["token_ids"] = np.concatenate([given["token_ids"]] * 2)
    history = model.fit(
        given,
        batch_size=2,
        shuffle=False,
        epochs=2,
        callbacks=[keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )
    assert len(history.history["loss"]) == 2
    assert np.isfinite(history.history["forward_perplexity"]).all()


def test_regularizers_are_trained_but_not_counted_as_perplexity():
    vectors = keras.layers.Embedding(9, 4, embeddings_regularizer="l2")
    model = gk.models.TransferProbe(
        9, gk.layers.UniformGraph(), vectors=vectors, directions=("forward",)
    )
    model.compile("sgd")
    given = small_inputs()
    outputs = model(given)
    (penalty,) = map(to_numpy, model.losses)
    assert penalty > 0
    loss = to_numpy(model.compute_loss(given, y_pred=outputs))
    assert loss == pytest.approx(to_numpy(outputs["loss"]) + penalty)
    found = model.evaluate(given, return_dict=True, verbose=0)
    assert np.log(found["forward_perplexity"]) == pytest.approx(found["loss"])


def test_weights_of_samples_are_refused():
    model = gk.models.TransferProbe(9, None, embedding_dim=4)
    model.compile("sgd")
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="leave out `sample_weight`"):
            method(small_inputs(), sample_weight=np.ones(2), verbose=0)
    with pytest.raises(ValueError, match="leave out `sample_weight`"):
        model.evaluate(small_inputs(), None, 2, 0, np.ones(2))
    with pytest.raises(ValueError, match="Received: class_weight of type dict"):
        model.fit(small_inputs(), class_weight={1: 2.0}, verbose=0)


def test_targets_are_refused():
    model = gk.models.TransferProbe(9, None, embedding_dim=4)
    model.compile("sgd")
    with pytest.raises(ValueError, match="TransferProbe computes its own los"):
        model.fit(small_inputs(), np.ones(2), verbose=0)
