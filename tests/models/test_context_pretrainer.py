import keras
import numpy as np
import pytest
from keras import ops

import glomo_keras as gk
from tests import reference
from tests.backends import BACKEND
from tests.backends import to_numpy
from tests.backends import weight_gradients
from tests.models.small_models import arrays
from tests.models.small_models import coupled_predictor
from tests.models.small_models import inputs
from tests.models.small_models import make_pretrainer
from tests.models.small_models import small_predictor
from tests.models.small_models import small_pretrainer

TOLERANCE = 1e-5
DIRECTIONS = ("forward", "backward")
ABLATIONS = [
    {"coupled": True},
    {
        "coupled": True,
        "share_cell": False,
        "composition": "residual",
        "num_positions": 40,
        "seed": 1,
    },
    {"share_cell": False, "threshold": "scalar", "normalization": "none"},
    {"activation": "square", "composition": "residual"},
    {"activation": "softmax", "num_graph_layers": 1, "context_length": 1},
    {"num_decoder_layers": 1, "num_graph_layers": 3, "context_length": 9},
    {"messages": "values", "num_positions": 4, "filters": 12, "rotary_dim": 2},
    {"messages": "mixture", "num_positions": 4},
]


def ids_of(options):
    return "-".join(f"{k}={v}" for k, v in options.items()) or "default"


def repetitive(batch=16, length=12):
    """Texts that count: the next unit follows from the last."""
    start = np.random.default_rng(0).integers(0, 9, (batch, 1))
    ids = (start + np.arange(length)) % 9
    return {
        "token_ids": ids.astype("int32"),
        "padding_mask": np.ones(ids.shape, bool),
    }


def fitted(epochs, **kwargs):
    keras.utils.set_random_seed(0)
    model = make_pretrainer(seed=1, **kwargs)
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(
        repetitive(),
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    return model, history.history


RANDOM = {"num_positions": 5, "scale_embedding_gradient": True, "dropout": 0.1}
SHALLOW = {
    "num_conv_layers": 1,
    "num_graph_layers": 1,
    "num_decoder_layers": 1,
    "context_length": 2,
}


@pytest.fixture(scope="module")
def trained():
    return fitted(epochs=12, **SHALLOW, **RANDOM)


def test_fit_learns_and_reports(trained):
    model, history = trained
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    assert set(history) == {
        "loss",
        "forward_perplexity",
        "backward_perplexity",
        "edge_density",
        "empty_rows",
    }
    for direction in DIRECTIONS:
        assert 1 < history[f"{direction}_perplexity"][-1] < 9
    for name in ("edge_density", "empty_rows"):
        assert 0 <= min(history[name]) <= max(history[name]) <= 1


def test_evaluation_is_the_same_twice_and_that_of_context_loss():
    model = small_pretrainer(num_positions=5)
    model.compile(run_eagerly=True)
    x = inputs(length=12, lengths=(12, 12))
    results = [
        model.evaluate(x, batch_size=2, verbose=0, return_dict=True)
        for _ in range(2)
    ]
    assert results[0] == results[1]
    losses = to_numpy(model.context_loss(x["token_ids"]))
    np.testing.assert_allclose(results[0]["loss"], losses["loss"], rtol=1e-4)
    np.testing.assert_allclose(
        results[0]["forward_perplexity"],
        np.exp(losses["forward_loss"]),
        rtol=1e-4,
    )


def test_file_and_preset_give_the_same_model(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    ids = inputs()["token_ids"]
    expected = to_numpy(model.context_loss(ids))["loss"]
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        gk.ContextPretrainer.from_preset(tmp_path / "preset"),
    ):
        assert loaded.get_config() == model.get_config()
        assert to_numpy(loaded.context_loss(ids))["loss"] == expected


@pytest.mark.parametrize("frozen", ["all", "graphs"])
def test_what_is_frozen_stays_so_in_a_file(frozen, tmp_path):
    model = small_pretrainer()
    (model if frozen == "all" else model.graph_predictor).trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.trainable_weights] == [
        w.path for w in model.trainable_weights
    ]
    assert not loaded.graph_predictor.trainable_weights


def test_same_seed_gives_the_same_numbers_twice():
    losses, models = [], []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        models.append(make_pretrainer(seed=1, **SHALLOW, **RANDOM))
        models[-1].compile(keras.optimizers.Adam(0.02), run_eagerly=True)
        batch = repetitive(batch=4, length=6)
        losses.append([models[-1].train_on_batch(batch) for _ in range(2)])
    model, again = models
    assert losses[0] == losses[1]
    for one, two in zip(arrays(model), arrays(again), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "options",
    [
        options
        if "messages" in options or "share_cell" in options
        else pytest.param(options, marks=pytest.mark.slow)
        for options in ABLATIONS
    ],
    ids=ids_of,
)
def test_ablations_train(options):
    """One step in the open: every weight that should move has a gradient."""
    if BACKEND == "jax" and "coupled" not in options:
        options = {"normalization": "layer", **options}
    keras.utils.set_random_seed(0)
    model = small_pretrainer(**options)
    x = keras.tree.map_structure(ops.convert_to_tensor, inputs())

    def loss():
        return model(x, training=True)["loss"]

    gradients = weight_gradients(model, loss)
    for path, gradient in gradients.items():
        assert np.all(np.isfinite(gradient)), path
    still = [path for path, g in gradients.items() if not np.any(g)]
    # A softmax drops the threshold and the keys' bias; the only input of a
    # decoder of one step is zeros.
    allowed = ("threshold", "bias", "cell_0/kernel")
    assert all(any(word in path for word in allowed) for path in still), still
    assert len(still) < len(gradients) / 4


@pytest.mark.parametrize("options", [{}, *ABLATIONS], ids=ids_of)
def test_config_round_trip(options):
    config = make_pretrainer(**options).get_config()
    again = gk.ContextPretrainer.from_config(config)
    assert again.get_config() == config
    every = {**config["graph_predictor"]["config"], **config}
    for name in set(options) - {"coupled"}:
        assert every[name] == options[name]


@pytest.mark.parametrize(
    "policy",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)],
)
def test_mixed_precision(policy):
    model = small_pretrainer(dtype=policy)
    embedding = model.graph_predictor.token_embedding
    assert embedding.compute_dtype == policy.removeprefix("mixed_")
    exact = to_numpy(small_pretrainer().context_loss(inputs()["token_ids"]))[
        "loss"
    ]
    loss = to_numpy(model.context_loss(inputs()["token_ids"]))["loss"]
    np.testing.assert_allclose(loss, exact, rtol=0.1)
    again = gk.ContextPretrainer.from_config(model.get_config())
    assert again.graph_predictor.token_embedding.dtype_policy.name == policy


@pytest.mark.slow
def test_mixed_precision_trains():
    _, history = fitted(dtype="mixed_float16", num_positions=4, epochs=12)
    assert history["loss"][-1] < 0.9 * history["loss"][0]


def test_loss_equals_the_formula():
    model = small_pretrainer()
    x = inputs()
    found = to_numpy(
        model.context_loss(x["token_ids"], padding_mask=x["padding_mask"])
    )
    features = to_numpy(model.features(x))
    embeddings = to_numpy(model.graph_predictor.token_embedding.embeddings)
    for direction, sign in zip(DIRECTIONS, (1, -1), strict=True):
        tops = features[f"{direction}_features"][:, -1].astype("float64")
        losses = []
        for row, length in enumerate((7, 4)):
            for t in range(length):
                states = [tops[row, t]] * 2
                unit = np.zeros(8)
                for step in range(1, 4):
                    if not 0 <= t + sign * step < length:
                        break
                    if step > 1:
                        unit = embeddings[
                            x["token_ids"][row, t + sign * (step - 1)]
                        ]
                    for index, cell in enumerate(
                        model.decoders[direction].cells
                    ):
                        weights = [to_numpy(w) for w in cell.weights]
                        unit = states[index] = reference.gru_cell(
                            unit, states[index], *weights
                        )
                    target = x["token_ids"][row, t + sign * step]
                    losses.append(
                        reference.cross_entropy(
                            unit @ embeddings.T, np.array(target)
                        )
                    )
        np.testing.assert_allclose(
            found[f"{direction}_loss"], np.mean(losses), rtol=TOLERANCE
        )
    np.testing.assert_allclose(
        found["loss"],
        0.5 * (found["forward_loss"] + found["backward_loss"]),
        rtol=TOLERANCE,
    )


def test_padding_and_its_amount_change_no_loss():
    model = small_pretrainer()
    x = inputs()
    longer = np.where(x["padding_mask"], x["token_ids"], 8)
    longer = np.pad(longer, ((0, 0), (0, 5)), constant_values=2)
    mask = np.pad(x["padding_mask"], ((0, 0), (0, 5)))
    losses = [
        to_numpy(model.context_loss(ids, padding_mask=real))
        for ids, real in (
            (x["token_ids"], x["padding_mask"]),
            (longer, mask),
        )
    ]
    for name, loss in losses[0].items():
        np.testing.assert_allclose(loss, losses[1][name], rtol=TOLERANCE)


@pytest.mark.parametrize("options", [{}, ABLATIONS[1]], ids=ids_of)
def test_no_feature_sees_its_future(options):
    model = small_pretrainer(**options)
    x = inputs(lengths=(7,))
    before = to_numpy(model.features(x))
    for unit in (0, 3, 6):
        ids = x["token_ids"].copy()
        ids[:, unit] = (ids[:, unit] + 1) % 9
        after = to_numpy(model.features({**x, "token_ids": ids}))
        for name, places in (
            ("forward_features", slice(unit)),
            ("backward_features", slice(unit + 1, 7)),
        ):
            np.testing.assert_array_equal(
                before[name][:, :, places], after[name][:, :, places]
            )
            assert np.any(before[name][:, :, unit] != after[name][:, :, unit])


@pytest.mark.parametrize(
    ("length", "lengths", "num_positions"),
    [
        pytest.param(1, (1,), None, marks=pytest.mark.slow),
        (2, (1, 0), 3),
        pytest.param(5, (0,), None, marks=pytest.mark.slow),
        pytest.param(4, (4,), 3, marks=pytest.mark.slow),
    ],
)
def test_single_positions_and_empty_rows_give_no_nan(
    length, lengths, num_positions
):
    normalization = "layer" if BACKEND == "jax" else "batch"
    model = small_pretrainer(
        num_positions=num_positions,
        normalization=normalization,
        scale_embedding_gradient=True,
    )
    x = inputs(length, lengths)
    gradients = weight_gradients(model, lambda: model(x, training=True)["loss"])
    assert all(np.all(np.isfinite(g)) for g in gradients.values())
    assert np.isfinite(to_numpy(model(x))["loss"])
    if length < 4:
        assert to_numpy(model(x))["loss"] == 0


def test_positions_are_drawn_anew_and_only_in_training():
    model = small_pretrainer(num_positions=50)
    drawn = [to_numpy(model.draw_positions(4, True)) for _ in range(2)]
    assert np.any(drawn[0] != drawn[1])
    assert set(drawn[0]) == set(range(4))
    assert model.draw_positions(4, False) is None


@pytest.mark.parametrize(
    "masked", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_embedding_gradient_is_divided_by_the_count(masked):
    """Of the lookups alone: the softmax's part is the same with and without.

    In a batch that is there twice, all counts c are doubled and means are the
    same: with g the gradient of the lookups, plain - scaled = g - g / c and
    scaled - scaled_twice = g / c - g / 2c.
    """
    x = inputs() if masked else inputs(lengths=(7, 7))
    twice = {name: np.concatenate([v, v]) for name, v in x.items()}
    plain, scaled, scaled_twice = (
        _embedding_gradient(option, given)
        for option, given in ((False, x), (True, x), (True, twice))
    )
    counts = np.bincount(x["token_ids"][x["padding_mask"]], minlength=9)
    np.testing.assert_allclose(
        scaled[counts == 1], plain[counts == 1], atol=1e-6
    )
    several = counts > 1
    assert np.any(np.abs(scaled - plain)[several] > 1e-4)
    counts = counts[several, None]
    np.testing.assert_allclose(
        (plain - scaled)[several] / (1 - 1 / counts),
        (scaled - scaled_twice)[several] * 2 * counts,
        atol=1e-4,
    )


def _embedding_gradient(scaled, x):
    model = small_pretrainer(
        num_graph_layers=1,
        context_length=2,
        normalization="layer",
        scale_embedding_gradient=scaled,
    )
    gradients = weight_gradients(
        model,
        lambda: model.context_loss(
            x["token_ids"], padding_mask=x["padding_mask"], training=True
        )["loss"],
    )
    return gradients[model.graph_predictor.token_embedding.embeddings.path]


def test_coupled_networks_share_their_compositions():
    model = small_pretrainer(coupled=True, share_cell=True)
    for direction in DIRECTIONS:
        used = model.feature_predictor.compositions[direction]
        assert used[0] is model.graph_predictor.compositions[direction][0]
        assert used[0] is used[1]
    x = inputs()
    first = to_numpy(model.features(x))["forward_features"][:, 0]
    found = model.graph_predictor.factored()(x)["forward_graphs"]
    projection = model.graph_predictor.projections["forward"][1]
    np.testing.assert_allclose(
        to_numpy(found["past_keys"])[:, 1],
        to_numpy(projection(first, first)["past_keys"])[:, 0],
        atol=1e-6,
    )


def test_compositions_of_a_coupled_predictor_must_be_its_own():
    with pytest.raises(ValueError, match=r"CoupledGraphPredictor.*Received: "):
        gk.ContextPretrainer(coupled_predictor(), composition="residual")
    with pytest.raises(ValueError, match=r"CoupledGraphPredictor.*Received: "):
        gk.ContextPretrainer(coupled_predictor(), messages="values")


@pytest.mark.parametrize("messages", ["values", "mixture"])
def test_flat_features_need_no_heads_that_divide_the_width(messages):
    model = make_pretrainer(num_heads=3, messages=messages)
    assert np.isfinite(to_numpy(model(repetitive())["loss"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_positions": 0}, "`num_positions` must be"),
        ({"num_heads": 3}, "`num_heads` of the graph predictor must divide"),
        ({"context_length": 0}, "`context_length` must be"),
        ({"num_decoder_layers": 0}, "`num_layers` must be"),
        ({"composition": "sum"}, "`composition` must be"),
        ({"empty_row_weight": -1}, "`empty_row_weight` must be"),
        ({"messages": "heads"}, "`messages` must be"),
        ({"activation": "relu"}, "`activation` must be"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make_pretrainer(**options)


def test_positions_are_drawn_whatever_the_float_of_the_session_is():
    model = make_pretrainer(num_positions=5000, seed=0)
    keras.config.set_floatx("bfloat16")
    try:
        drawn = to_numpy(model.draw_positions(500, True))
    finally:
        keras.config.set_floatx("float32")
    assert drawn.min() >= 0 and drawn.max() < 500
    assert len(np.unique(drawn)) == 500


def test_another_precision_than_the_predictor_has_is_refused():
    predictor = small_predictor()
    gk.ContextPretrainer(predictor, dtype="float32")
    with pytest.raises(ValueError, match="Received: dtype=mixed_bfloat16, gra"):
        gk.ContextPretrainer(predictor, dtype="mixed_bfloat16")


def test_predictor_of_images_is_refused():
    with pytest.raises(ValueError, match="predictor of texts.*Received: "):
        gk.ContextPretrainer(gk.ImageGraphPredictor(12, 2, 4))


def test_weight_gives_empty_rows_a_gradient():
    """Thresholds far above all scores leave no edge, and no other gradient."""
    model = make_pretrainer(
        threshold_initializer=keras.initializers.Constant(3.0),
        threshold="scalar",
        empty_row_weight=1.0,
    )
    assert float(model(repetitive())["empty_rows"]) == 1.0
    model.compile("sgd", run_eagerly=True)
    history = model.fit(repetitive(batch=2), verbose=0).history
    perplexities = (
        history["forward_perplexity"][0] * history["backward_perplexity"][0]
    )
    assert history["loss"][0] > np.log(perplexities) / 2 + 0.1
    for projection in model.graph_predictor.projections.values():
        assert (to_numpy(projection.threshold_bias) < 3.0).all()


def test_weight_has_no_effect_where_no_row_is_empty():
    with_weight, without = (
        make_pretrainer(activation="square", empty_row_weight=weight)
        for weight in (1.0, 0.0)
    )
    with_weight.set_weights(without.get_weights())
    histories = []
    for model in (with_weight, without):
        model.compile("sgd", run_eagerly=True)
        histories.append(model.fit(repetitive(batch=2), verbose=0).history)
    assert histories[0]["loss"] == histories[1]["loss"]


def test_candidates_count_in_training_only():
    batch = inputs()
    every = small_pretrainer(num_positions=4, seed=3)
    some = small_pretrainer(num_positions=4, num_candidates=6, seed=3)
    some.set_weights(every.get_weights())
    for training, equal in ((False, True), (True, False)):
        losses = [
            float(to_numpy(model(batch, training=training)["loss"]))
            for model in (every, some)
        ]
        assert np.isclose(*losses, rtol=1e-6) == equal
        assert np.isclose(*losses, rtol=0.2)
    config = some.get_config()
    assert config["num_candidates"] == 6
    assert gk.ContextPretrainer.from_config(config).num_candidates == 6


def test_embeddings_start_as_the_initializer_says():
    model = make_pretrainer(
        embeddings_initializer=keras.initializers.RandomUniform(0.4, 0.5)
    )
    again = type(model).from_config(model.get_config())
    for one in (model, again):
        values = to_numpy(one.graph_predictor.token_embedding.embeddings)
        assert 0.4 <= values.min() <= values.max() <= 0.5
    default = make_pretrainer().graph_predictor
    values = to_numpy(default.token_embedding.embeddings)
    assert -0.1 <= values.min() < 0 < values.max() <= 0.1
