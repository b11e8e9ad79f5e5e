import pathlib

import keras
import numpy as np
import pytest

import glomo_keras as gk
from recipes.convert import pretrainer as convert_official

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4  # relative to the largest entry of each array


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "pretrain_k4h8.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def state(golden):
    return {
        name.removeprefix("param/"): array
        for name, array in golden.items()
        if name.startswith("param/")
    }


@pytest.fixture(scope="module")
def preset(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    np.savez(folder / "state.npz", **state)
    convert_official.main(
        convert_official.Options(folder / "state.npz", folder / "preset")
    )
    return folder / "preset"


@pytest.fixture(scope="module")
def pretrainer(preset):
    return gk.ContextPretrainer.from_preset(preset)


@pytest.mark.parametrize("masked", [False, True])
def test_graphs_and_features_are_those_of_the_released_code(
    golden, pretrainer, masked
):
    suffix = "_masked" if masked else ""
    mask = golden["in/mask"] > 0 if masked else golden["in/mask"] >= 0
    inputs = {"token_ids": golden["in/tokens"], "padding_mask": mask}
    graphs = pretrainer.graph_predictor(inputs)
    graphs = np.concatenate(
        [graphs["forward_graphs"], graphs["backward_graphs"]], axis=1
    )
    rows = mask[:, None, None, :, None]
    np.testing.assert_allclose(
        graphs * rows, golden[f"eval/graphs{suffix}"] * rows, atol=TOLERANCE
    )
    np.testing.assert_array_equal(graphs * ~rows, 0)

    outputs = pretrainer.features(inputs)
    features = np.concatenate(
        [
            np.asarray(outputs["embeddings"])[:, None],
            outputs["forward_features"],
            outputs["backward_features"],
        ],
        axis=1,
    )
    rows = mask[:, None, :, None]
    expected = golden[f"eval/outputs{suffix}"].swapaxes(0, 1)
    np.testing.assert_allclose(features * rows, expected * rows, atol=TOLERANCE)


def positions(golden):
    return {
        "forward": golden["in/idx_fw"],
        "backward": golden["in/idx_bw"],
    }


def test_losses_are_those_of_the_released_code(golden, pretrainer):
    losses = pretrainer.context_loss(golden["in/tokens"], positions(golden))
    for name, key in (
        ("loss", "eval/loss"),
        ("forward_loss", "eval/fw/loss"),
        ("backward_loss", "eval/bw/loss"),
    ):
        assert float(losses[name]) == pytest.approx(
            float(golden[key]), abs=TOLERANCE
        )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="takes a GradientTape"
)
def test_gradients_are_those_of_the_released_code(golden, state, pretrainer):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        losses = pretrainer.context_loss(golden["in/tokens"], positions(golden))
    variables = pretrainer.trainable_variables
    gradients = tape.gradient(losses["loss"], variables)

    # The golden gradients, brought to our layout by the same conversion.
    arrays = {
        name: golden.get(f"eval_grad/{name}", 0 * array)
        for name, array in state.items()
    }
    arrays["enc_emb.weight"] = golden["eval_grad_nofreq/enc_emb.weight"]
    official = convert_official.OfficialState(arrays, "gradients")
    expected = convert_official.convert(official).trainable_variables
    for gradient, variable in zip(gradients, expected, strict=True):
        value = np.asarray(variable.value)
        difference = np.abs(tf.convert_to_tensor(gradient) - value).max()
        assert difference <= GRADIENT_TOLERANCE * np.abs(value).max(), (
            variable.path
        )


def test_preset_gives_a_predictor_without_a_vocabulary(preset):
    predictor = gk.GraphPredictor.from_preset(preset)
    assert predictor.vocabulary is None
    assert not predictor.trainable
    assert predictor.vocabulary_size == 50


def test_vocabulary_goes_into_the_preset(state, tmp_path):
    np.savez(tmp_path / "state.npz", **state)
    words = [f"word{i}" for i in range(50)]
    (tmp_path / "words.txt").write_text("\n".join(words) + "\n")
    convert_official.main(
        convert_official.Options(
            tmp_path / "state.npz",
            tmp_path / "preset",
            vocabulary=tmp_path / "words.txt",
        )
    )
    predictor = gk.GraphPredictor.from_preset(tmp_path / "preset")
    assert predictor.vocabulary == words


def test_tied_softmax_and_batch_counters_are_passed_over(state):
    arrays = {
        **state,
        "dec_net_fw.out.weight": state["enc_emb.weight"],
        "st_predictor_fw.key_cnn.0.1.num_batches_tracked": np.array(7),
    }
    official = convert_official.OfficialState(arrays, "state.npz")
    convert_official.convert(official)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"enc_emb.weight": None}, "state.npz lacks the parameter 'enc_emb"),
        (
            {"st_predictor_bw.gru_cell.bias_ih": None},
            "lacks the parameter 'st_predictor_bw.gru_cell.bias_ih'",
        ),
        (
            {"extra.weight": np.zeros(3)},
            r"no place for. Received: \['extra.weight'\]",
        ),
        (
            {"st_predictor_fw.key_cnn.1.0.bias": np.zeros(5)},
            r"key_cnn.1.0.bias' must have shape \(32,\). Received: shape",
        ),
    ],
)
def test_state_of_another_model_is_refused(state, change, message):
    arrays = {**state, **change}
    arrays = {n: array for n, array in arrays.items() if array is not None}
    official = convert_official.OfficialState(arrays, "state.npz")
    with pytest.raises(ValueError, match=message):
        convert_official.convert(official)


def test_missing_file_is_named(tmp_path):
    options = convert_official.Options(tmp_path / "no.npz", tmp_path / "out")
    with pytest.raises(SystemExit, match="no.npz"):
        convert_official.main(options)
    options.state.write_text("no archive")
    with pytest.raises(ValueError, match="numpy.savez.*no.npz"):
        convert_official.main(options)
