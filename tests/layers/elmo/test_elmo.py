import keras
import numpy as np
import pytest
from keras import ops

from glomo_keras import data
from glomo_keras.layers import Elmo
from glomo_keras.layers import ElmoLanguageModel
from tests import elmo_reference as reference
from tests.backends import to_numpy
from tests.backends import weight_gradients
from tests.layers.run_layer_test import run_layer_test

TOLERANCE = 1e-5
SIZES = {
    "char_embedding_dim": 4,
    "filters": [[1, 3], [2, 5]],
    "projection_dim": 6,
    "lstm_dim": 8,
    "max_characters": 12,
}
TEXTS = [["The", "longest", "of", "all", "the", "texts", "!"], ["Né", "?"]]


def char_ids(texts=TEXTS):
    return data.elmo_char_ids(texts, max_characters=12)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    options = reference.options()
    arrays = reference.arrays(options)
    folder = tmp_path_factory.mktemp("elmo")
    return reference.write(folder, options, arrays), options, arrays


@pytest.mark.slow
def test_language_model_as_a_layer(tmp_path):
    run_layer_test(
        ElmoLanguageModel,
        {**SIZES, "num_layers": 1},
        {"char_ids": char_ids()},
        tmp_path,
        (2, 2, 7, 12),
        1 + 4 + 8 + 2 + 6,
    )


@pytest.mark.slow
def test_features_as_a_layer(tmp_path):
    layer = Elmo(ElmoLanguageModel(**SIZES, num_layers=1), normalize=True)
    run_layer_test(
        lambda: layer,
        {},
        {"char_ids": char_ids()},
        tmp_path,
        (2, 7, 12),
        21 + 2,
    )


def test_mix_alone_is_trained_unless_told(files):
    (paths, _, _) = files
    elmo = data.load_elmo(*paths)
    assert [w.name for w in elmo.trainable_weights] == ["logits", "gamma"]
    gradients = weight_gradients(elmo, lambda: ops.sum(elmo(char_ids())))
    assert len(gradients) == 2
    tuned = data.load_elmo(*paths, finetune=True)
    assert len(tuned.trainable_weights) == len(tuned.weights)
    gradients = weight_gradients(tuned, lambda: ops.sum(tuned(char_ids())))
    assert all(np.any(gradient) for gradient in gradients.values())
    frozen = data.load_elmo(*paths, finetune=True, trainable=False)
    assert not frozen.trainable_weights


@pytest.mark.parametrize("finetune", [False, True])
def test_thawed_model_trains_no_more_than_before(finetune):
    elmo = Elmo(ElmoLanguageModel(**SIZES), finetune=finetune)
    ids = keras.Input((None, 12), dtype="int32")
    model = keras.Model(ids, elmo(ids))
    count = len(model.trainable_weights)
    model.trainable = False
    assert not model.trainable_weights
    model.trainable = True
    assert len(model.trainable_weights) == count
    assert elmo.language_model.trainable == finetune


@pytest.mark.parametrize("normalize", [False, True])
def test_features_are_the_mixed_layers(files, normalize):
    paths, options, arrays = files
    elmo = data.load_elmo(*paths, normalize=normalize)
    elmo.mix.logits.assign([0.5, -1.0, 0.7])
    elmo.mix.gamma.assign(1.3)
    rows = [reference.all_layers(t, options, arrays) for t in TEXTS]
    if normalize:  # all numbers of the batch, marks of the ends included
        for k in range(3):
            real = np.concatenate([row[k] for row in rows])
            for row in rows:
                row[k] = (row[k] - real.mean()) / real.std()
    weights = np.exp([0.5, -1.0, 0.7])
    weights = 1.3 * weights / weights.sum()
    outputs = to_numpy(elmo(char_ids()))
    for output, row in zip(outputs, rows, strict=True):
        expected = np.einsum("n,ntd->td", weights, row[:, 1:-1])
        length = len(expected)
        np.testing.assert_allclose(output[:length], expected, atol=TOLERANCE)
        assert not output[length:].any()


def test_padding_changes_nothing(files):
    elmo = data.load_elmo(*files[0], normalize=True)
    ids = char_ids()
    expected = to_numpy(elmo(ids))
    longer = np.pad(ids, [(0, 0), (0, 3), (0, 0)])
    outputs = to_numpy(elmo(longer))
    np.testing.assert_allclose(outputs[:, :7], expected, atol=TOLERANCE)
    assert not outputs[:, 7:].any()
    mask = ids.any(-1)
    filled = np.where(mask[..., None], ids, 77)
    outputs = to_numpy(elmo(filled, padding_mask=mask))
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE)


def test_rows_do_not_depend_on_each_other(files):
    elmo = data.load_elmo(*files[0])
    both = to_numpy(elmo(char_ids()))
    alone = to_numpy(elmo(char_ids(TEXTS[1:])))
    np.testing.assert_allclose(both[1:, :2], alone, atol=TOLERANCE)


def test_empty_text_is_zeros(files):
    elmo = data.load_elmo(*files[0])
    outputs = to_numpy(elmo(char_ids([[], ["word"]])))
    assert outputs.shape == (2, 1, 12)
    assert not outputs[0].any()
    assert outputs[1].any()


def test_mask_is_that_of_the_ids():
    elmo = Elmo(ElmoLanguageModel(**SIZES))
    mask = to_numpy(elmo.compute_mask(char_ids(), None))
    assert mask.tolist() == [[True] * 7, [True] * 2 + [False] * 5]


def test_explicit_mask_is_that_of_the_output():
    elmo = Elmo(ElmoLanguageModel(**SIZES))
    ids = char_ids()
    ids[0, 0] = 0
    mask = np.arange(7) < np.array([[7], [1]])
    pool = keras.layers.GlobalAveragePooling1D()
    outputs = elmo(ids, padding_mask=mask)
    found, outputs = to_numpy(pool(outputs)), to_numpy(outputs)
    np.testing.assert_allclose(found[0], outputs[0].mean(0), atol=TOLERANCE)
    np.testing.assert_allclose(found[1], outputs[1, 0], atol=TOLERANCE)


def test_saved_model_needs_no_files(files, tmp_path):
    elmo = data.load_elmo(*files[0], normalize=True, name="elmo")
    ids = keras.Input((None, 12), dtype="int32")
    model = keras.Model(ids, elmo(ids))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        to_numpy(loaded(char_ids())),
        to_numpy(model(char_ids())),
        atol=TOLERANCE,
    )
    assert len(loaded.trainable_weights) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": []}, "`filters` must not be empty"),
        ({"filters": [[13, 2]]}, "no width above"),
        ({"filters": [[0, 2]]}, "`filters` must be pairs"),
        ({"filters": [[1, 2, 3]]}, "`filters` must be pairs"),
        ({"activation": "gelu"}, "`activation` must be one of"),
        ({"lstm_dim": 0}, "`lstm_dim` must be a positive integer"),
        ({"num_highway": -1}, "`num_highway` must be"),
        ({"num_characters": 100}, "at least 262"),
        ({"cell_clip": 0}, "`cell_clip` must be positive"),
        ({"projection_clip": -1.0}, "`projection_clip` must be positive"),
        ({"use_projection": False}, "Without a projection the 8 filters"),
    ],
)
def test_unknown_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        ElmoLanguageModel(**{**SIZES, **changes})


def test_wrong_inputs_are_refused():
    model = ElmoLanguageModel(**SIZES)
    with pytest.raises(ValueError, match="12 characters a word.*Received: "):
        model(np.zeros((2, 7, 50), "int32"))
    with pytest.raises(ValueError, match="must have shape.*Received: "):
        model(np.zeros((2, 12), "int32"))
    with pytest.raises(ValueError, match="same length T.*Received: "):
        model(char_ids(), padding_mask=np.ones((2, 6), bool))
    with pytest.raises(ValueError, match="must be an ElmoLanguageModel"):
        Elmo("original")
