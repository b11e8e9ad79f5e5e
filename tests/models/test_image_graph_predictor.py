import keras
import numpy as np
import pytest

import glomo_keras as gk
from tests import reference
from tests.backends import to_numpy
from tests.models.small_models import randomised

TOLERANCE = 1e-6
SIZES = {
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 2,
    "num_graph_layers": 2,
}
HEIGHT, WIDTH = 3, 4
UNITS = HEIGHT * WIDTH


def images(seed=0, count=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, HEIGHT, WIDTH, 3)).astype("uint8")


def small_predictor(**kwargs):
    return randomised(gk.ImageGraphPredictor(**{**SIZES, **kwargs}))


def changed(image, unit, channel):
    """The image with another value at one place."""
    copy = image.copy()
    copy[:, unit // WIDTH, unit % WIDTH, channel] += 77
    return copy


def test_graphs_are_triangular_and_rows_sum_to_one_or_zero():
    graphs = to_numpy(small_predictor(bidirectional=True)({"images": images()}))
    assert sorted(graphs) == ["backward_graphs", "forward_graphs"]
    assert np.all(np.triu(graphs["forward_graphs"]) == 0)
    assert np.all(np.tril(graphs["backward_graphs"]) == 0)
    for graph in graphs.values():
        assert graph.shape == (1, 2, 2, UNITS, UNITS)
        sums = graph.sum(-1)
        assert np.all((np.abs(sums - 1) < TOLERANCE) | (sums == 0))
        assert np.any(sums > 0)


@pytest.mark.parametrize(
    "options",
    [{}, {"coordinates": False, "normalization": "batch"}, {"kernel_size": 5}],
)
def test_no_pixel_sees_itself_or_a_later_one(options):
    predictor = small_predictor(bidirectional=True, **options)
    x = images()
    others = [changed(x, unit, unit % 3) for unit in range(UNITS)]
    before = to_numpy(predictor({"images": x.repeat(UNITS, 0)}))
    after = to_numpy(predictor({"images": np.concatenate(others)}))
    for unit in range(UNITS):
        for direction, rows in (
            ("forward", slice(unit + 1)),
            ("backward", slice(unit, UNITS)),
        ):
            name = f"{direction}_graphs"
            one, two = before[name][unit], after[name][unit]
            np.testing.assert_array_equal(one[..., rows, :], two[..., rows, :])
            if (direction == "forward") == (unit == 0):
                assert np.any(one != two)


def test_both_outputs_are_the_same_graphs():
    predictor = small_predictor()
    x = {"images": images(count=2)}
    factors = predictor.factored()(x)["forward_graphs"]
    np.testing.assert_allclose(
        to_numpy(predictor(x))["forward_graphs"],
        reference.graph(to_numpy(factors)),
        atol=1e-5,
    )


def test_parts_of_models_are_saved(tmp_path):
    predictor = small_predictor()
    classifier = gk.ImageClassifier(
        image_size=3, graphs=gk.layers.UniformGraph(), dtype="mixed_bfloat16"
    )
    for part, x in (
        (predictor.factored(), images(count=2)),
        (classifier.message_model(), images(count=2)[:, :3, :3]),
    ):
        part.save(tmp_path / "part.keras")
        loaded = keras.saving.load_model(tmp_path / "part.keras")
        keras.tree.map_structure(
            np.testing.assert_array_equal,
            to_numpy(loaded({"images": x})),
            to_numpy(part({"images": x})),
        )


def test_blind_spot_is_where_the_docstring_says():
    predictor = small_predictor(coordinates=False, num_conv_layers=4)
    row, column = 4, 4
    x = np.zeros((56, 5, 11, 3), "uint8")  # the last one stays as it is
    for place in range(55):
        x[place].reshape(55, 3)[place] = 200
    factors = predictor.factored()({"images": x})["forward_graphs"]
    queries = to_numpy(factors)["queries"].reshape(56, 2, 2, 5, 11, 3)
    queries = queries[:, :, :, row, column]
    moved = queries[:-1] != queries[-1]
    seen = moved.any((1, 2, 3)).reshape(5, 11)
    rows, columns = np.mgrid[:5, :11]
    earlier = (rows < row) | ((rows == row) & (columns < column))
    blind = columns - column > row - rows
    assert np.all(seen <= (earlier & ~blind))
    assert seen[3, 5] and not seen[3, 6] and seen[2, 6] and not seen[2, 7]


def test_weights_fit_any_size_and_dtype_of_images():
    predictor = small_predictor()
    for size in (1, 2, 5):
        x = np.zeros((1, size, size + 1, 3), "int32")
        graph = to_numpy(predictor({"images": x}))["forward_graphs"]
        assert graph.shape[-1] == size * (size + 1)
        assert np.all(np.isfinite(graph))


@pytest.mark.parametrize(
    "policy",
    ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_file_round_trip(policy, tmp_path):
    predictor = small_predictor(dtype=policy, bidirectional=True, max_shift=3)
    predictor.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == predictor.get_config()
    expected = to_numpy(predictor({"images": images()}))
    for name, graph in to_numpy(loaded({"images": images()})).items():
        np.testing.assert_array_equal(graph, expected[name])


def test_preset_round_trip_gives_a_frozen_predictor(tmp_path):
    predictor = small_predictor(max_shift=4)
    predictor.save_to_preset(tmp_path)
    assert not (tmp_path / "vocabulary.txt").exists()
    loaded = gk.ImageGraphPredictor.from_preset(tmp_path)
    assert not loaded.trainable_weights
    x = {"images": images()}
    np.testing.assert_array_equal(
        to_numpy(loaded(x, training=True))["forward_graphs"],
        to_numpy(predictor(x))["forward_graphs"],
    )


def test_preset_of_another_model_is_told(tmp_path):
    small_predictor().save_to_preset(tmp_path / "image")
    with pytest.raises(ValueError, match="load it with `ImageGraphPredictor"):
        gk.GraphPredictor.from_preset(tmp_path / "image")
    text = gk.GraphPredictor(
        5, embedding_dim=4, num_heads=1, num_conv_layers=1, num_graph_layers=1
    )
    text.save_to_preset(tmp_path / "text")
    with pytest.raises(ValueError, match="load it with `GraphPredictor"):
        gk.ImageGraphPredictor.from_preset(tmp_path / "text")
    with pytest.raises(ValueError, match="load it with `ImageGraphPredictor"):
        gk.PixelPretrainer.from_preset(tmp_path / "image")


@pytest.mark.parametrize("dtype", ["uint16", ">u2"])
def test_images_of_16_bits_are_refused(dtype):
    """Their values would wrap around."""
    with pytest.raises(ValueError, match="16-bit values.*uint16"):
        small_predictor()({"images": 257 * images(1).astype(dtype)})


@pytest.mark.parametrize("value", [-1, 256])
def test_integers_that_are_no_bytes_are_refused(value):
    """Cast to uint8 they would wrap around."""
    predictor = small_predictor()
    given = {"images": np.full((1, HEIGHT, WIDTH, 3), value, "int32")}
    message = f"from 0 to 255. Received: values from {value} to {value}"
    for call in (
        predictor,
        predictor.factored(),
        gk.PixelPretrainer(predictor),
        lambda x: gk.layers.PixelEmbedding(6)(x["images"]),
    ):
        with pytest.raises(ValueError, match=message):
            call(given)
    right = {"images": images(1).astype("int32")}
    predictor.predict(right, verbose=0)
    predictor(right)


@pytest.mark.parametrize("kind", ["array", "list", "tensor"])
def test_images_of_floats_are_refused(kind):
    """Cut off to integers, all of them would be black."""
    images = np.full((1, HEIGHT, WIDTH, 3), 0.5, "float32")
    given = {
        "array": images,
        "list": images.tolist(),
        "tensor": keras.ops.convert_to_tensor(images),
    }[kind]
    predictor = small_predictor()
    message = "an integer dtype.*Received: images.dtype=.*float"
    with pytest.raises(ValueError, match=message):
        predictor({"images": given})
    if kind == "array":
        with pytest.raises(ValueError, match=message):
            gk.PixelPretrainer(predictor)({"images": images})
        with pytest.raises(ValueError, match=message):
            predictor.predict({"images": images}, verbose=0)
        with pytest.raises(ValueError, match=message):
            predictor.factored()({"images": images})


def test_preset_of_the_package_gives_graphs():
    predictor = gk.ImageGraphPredictor.from_preset("glomo_pixels_small")
    assert (predictor.num_graph_layers, predictor.num_heads) == (3, 8)
    smooth = 10 * np.arange(UNITS).reshape(1, HEIGHT, WIDTH, 1)
    smooth = np.repeat(smooth, 3, axis=-1).astype("uint8")
    graph = to_numpy(predictor({"images": smooth}))["forward_graphs"]
    assert graph.shape == (1, 3, 8, UNITS, UNITS)
    sums = graph.sum(-1)
    assert np.all((np.abs(sums - 1) < 1e-5) | (sums == 0))
    assert np.any(sums > 0.5)
