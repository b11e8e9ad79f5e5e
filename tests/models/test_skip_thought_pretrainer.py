import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests import reference
from tests.backends import BACKEND
from tests.backends import to_numpy
from tests.backends import to_tensors
from tests.backends import weight_gradients
from tests.models.small_models import coupled_predictor
from tests.models.small_models import inputs
from tests.models.small_models import randomised
from tests.models.small_models import small_predictor

TOLERANCE = 1e-5
HALVES = {"forward": slice(0, 3), "backward": slice(3, 7)}
"""What each direction encodes of 7 positions."""


def make(predictor=None, **kwargs):
    return randomised(
        gk.models.SkipThoughtPretrainer(
            predictor or small_predictor(), **kwargs
        )
    )


@pytest.fixture(scope="module")
def model():
    return make()


def numbers(model, x):
    return {name: float(value) for name, value in to_numpy(model(x)).items()}


def mean_features(model, x):
    """The vectors, from the graphs and f themselves."""
    graphs = to_tensors(to_numpy(model.graph_predictor(x)))
    embeddings = model.graph_predictor.token_embedding(x["token_ids"])
    features = to_numpy(
        model.feature_predictor({"embeddings": embeddings, **graphs})
    )
    vectors = {}
    for direction, half in HALVES.items():
        real = x["padding_mask"][:, half, None]
        top = features[f"{direction}_features"][:, -1, half]
        vectors[direction] = (top * real).sum(1) / np.maximum(real.sum(1), 1)
    return vectors


def losses_of(model, vector, direction, words):
    """The losses of words that follow a vector, one after the other."""
    table = to_numpy(model.graph_predictor.token_embedding.embeddings)
    weights = [to_numpy(w) for w in model.decoders[direction].weights]
    state, word = np.zeros(8), np.zeros(8)
    for target in words:
        step = np.concatenate([word, vector])
        state = reference.gru_cell(step, state, *weights)
        yield reference.cross_entropy(state @ table.T, np.array(target))
        word = table[target]


def test_vectors_are_means_of_the_top_features(model):
    x = inputs()
    expected = mean_features(model, x)
    for direction, vectors in to_numpy(model.vectors(x)).items():
        np.testing.assert_allclose(vectors, expected[direction], atol=1e-5)


def test_loss_equals_the_formula(model):
    x = inputs(lengths=(7, 5))
    found, vectors = numbers(model, x), mean_features(model, x)
    for own, other in (("forward", "backward"), ("backward", "forward")):
        losses = []
        for row, length in enumerate((7, 5)):
            words = x["token_ids"][row, :length][HALVES[other]]
            losses += losses_of(model, vectors[own][row], own, words)
        np.testing.assert_allclose(
            found[f"{own}_loss"], np.mean(losses), rtol=TOLERANCE
        )
    mean = (found["forward_loss"] + found["backward_loss"]) / 2
    np.testing.assert_allclose(found["loss"], mean, rtol=TOLERANCE)


def test_no_vector_sees_the_other_half(model):
    x = inputs(lengths=(7,))
    before = to_numpy(model.vectors(x))
    for own, other in (("forward", "backward"), ("backward", "forward")):
        ids = x["token_ids"].copy()
        ids[:, HALVES[other]] = (ids[:, HALVES[other]] + 1) % 9
        after = to_numpy(model.vectors({**x, "token_ids": ids}))
        np.testing.assert_array_equal(after[own], before[own])
        assert np.any(after[other] != before[other])


def test_padding_counts_nothing(model):
    x = inputs(lengths=(7, 3))
    found = numbers(model, x)
    first = {name: value[:1] for name, value in x.items()}
    for name in ("loss", "forward_loss", "backward_loss"):
        np.testing.assert_allclose(
            found[name], numbers(model, first)[name], rtol=TOLERANCE
        )
    ids = np.where(x["padding_mask"], x["token_ids"], 5)
    assert numbers(model, {**x, "token_ids": ids}) == found
    empty = numbers(model, inputs(lengths=(0, 0)))
    assert empty["loss"] == 0


@pytest.mark.parametrize(
    "predictor",
    [
        lambda: small_predictor(num_graph_layers=1, normalization="layer"),
        pytest.param(coupled_predictor, marks=pytest.mark.slow),
    ],
    ids=["predictor", "coupled"],
)
def test_every_weight_has_a_gradient(predictor):
    model = make(predictor(), num_candidates=6, seed=1)
    x = to_tensors(inputs(12, (12, 9)))
    gradients = weight_gradients(model, lambda: model(x, training=True)["loss"])
    for path, gradient in gradients.items():
        assert np.all(np.isfinite(gradient)), path
    still = [path for path, g in gradients.items() if not np.any(g)]
    assert all("threshold" in path or "bias" in path for path in still), still


@pytest.mark.slow
def test_fit_learns_and_presets_keep_the_numbers(tmp_path):
    keras.utils.set_random_seed(0)
    predictor = small_predictor(num_graph_layers=1, num_conv_layers=1)
    model = gk.models.SkipThoughtPretrainer(predictor, seed=1)
    model.compile(
        keras.optimizers.Adam(0.02), jit_compile=BACKEND == "jax"
    )  # XLA takes 15 s on TensorFlow
    start = np.random.default_rng(0).integers(0, 9, (16, 1))
    ids = ((start + np.arange(8)) % 9).astype("int32")
    x = {"token_ids": ids, "padding_mask": np.ones(ids.shape, bool)}
    history = model.fit(x, batch_size=16, epochs=8, shuffle=False, verbose=0)
    history = history.history
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert set(history) == {
        "loss",
        "forward_perplexity",
        "backward_perplexity",
        "edge_density",
        "empty_rows",
    }
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        gk.models.SkipThoughtPretrainer.from_preset(tmp_path / "preset"),
    ):
        assert loaded.get_config() == model.get_config()
        assert numbers(loaded, x) == numbers(model, x)
    predictor = gk.GraphPredictor.from_preset(tmp_path / "preset")
    for ours, theirs in zip(
        predictor.weights, model.graph_predictor.weights, strict=True
    ):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))


def test_what_is_frozen_stays_so():
    model = make(trainable=False)
    assert not model.trainable_weights
    again = type(model).from_config(model.get_config())
    assert not again.trainable_weights


def test_bad_arguments_are_refused(model):
    with pytest.raises(ValueError, match="predictor of texts.*Received: "):
        make(gk.ImageGraphPredictor(12, 2, 4))
    with pytest.raises(ValueError, match="`num_candidates` must be.*Received"):
        make(num_candidates=0)
    with pytest.raises(ValueError, match=r"at least 2 positions.*Received: "):
        model(inputs(1, (1,)))


def test_preset_of_another_pretrainer_is_refused(model, tmp_path):
    model.save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="SkipThoughtPretrainer.from_preset"):
        gk.ContextPretrainer.from_preset(tmp_path)
