"""The recipe of CIFAR-10 on images that the tests make."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

import glomo_keras as gk
from recipes.common import with_config
from recipes.vision import cifar10
from recipes.vision import draw_graphs
from tests.data.images.test_images import write_cifar
from tests.models.small_models import randomised
from tests.models.test_image_graph_predictor import SIZES
from tests.recipes.resuming import check_resumed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes that a mean of colours tells apart, and a predictor."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 15), ("test", 6)):
        for name, low in (("dark", 0), ("light", 100)):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                image = low + rng.integers(0, 100, (6, 6, 3))
                Image.fromarray(image.astype("uint8")).save(
                    folder / split / name / f"{i}.png"
                )
    (folder / "train" / "dark" / "notes.txt").write_text("no image")
    predictor = randomised(gk.ImageGraphPredictor(**SIZES))
    predictor.save_to_preset(folder / "predictor")
    return folder


def options(folder, out, **kwargs):
    return cifar10.Options(
        data=str(folder),
        out=out / "run",
        cache=out / "cache",
        predictor=str(folder / "predictor"),
        size=6,
        **{"epochs": 2, "batch_size": 12, **kwargs},
    )


def load(options):
    return cifar10.load(with_config(options, cifar10.CONFIGS))


@pytest.mark.slow
def test_run_with_graphs_is_resumed_and_then_finished(folder, tmp_path, capsys):
    run = options(folder, tmp_path, graph="predicted")
    (metrics,) = cifar10.main(run)
    assert "notes.txt" in capsys.readouterr().out
    path = run.out / "seed-0/metrics.json"
    assert json.loads(path.read_text()) == metrics
    assert metrics["epochs"] == 2 and 0 <= metrics["test_accuracy"] <= 1
    assert metrics["train_images"] == 25
    check_resumed(
        lambda: cifar10.main(run),
        run.out / "seed-0",
        ("history.csv", "metrics.json"),
    )
    assert cifar10.main(run) == [metrics]
    with pytest.raises(ValueError, match="depth: 18 there, 34 now"):
        cifar10.main(dataclasses.replace(run, depth=34))


@pytest.mark.slow
@pytest.mark.parametrize("graph", ["none", "uniform", "random"])
def test_other_graphs_train(folder, tmp_path, graph):
    (metrics,) = cifar10.main(options(folder, tmp_path, graph=graph, epochs=1))
    assert metrics["graph"] == graph


def test_modes_of_a_seed_start_from_the_same_network(folder, tmp_path):
    runs = {
        graph: with_config(
            options(folder, tmp_path, graph=graph), cifar10.CONFIGS
        )
        for graph in ("none", "uniform", "predicted", "random")
    }
    splits = cifar10.load(runs["none"])
    for graph, run in runs.items():
        facts = cifar10.describe(run, splits)
        assert ("predictor" in facts) == (graph in ("predicted", "random"))
    models = {k: cifar10.build(run, splits, 0) for k, run in runs.items()}
    (_, *expected), *others = (
        [x for layer in model.resnet_layers for x in layer.get_weights()]
        for model in models.values()
    )
    for first, *weights in others:
        assert first.shape[2] == 6  # the pixels and what the graphs add
        np.testing.assert_array_equal(first, others[0][0])
        for weight, other in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(weight, other)
    # Whatever was drawn before, the seed makes the same untrained graphs.
    keras.utils.set_random_seed(1)
    again = cifar10.build(runs["random"], splits, 0)
    for weight, other in zip(
        again.get_weights(), models["random"].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, other)


def test_split_has_the_shares_of_the_paper(tmp_path):
    write_cifar(tmp_path, "binary")
    splits = load(
        cifar10.Options(
            data=str(tmp_path),
            out=tmp_path,
            cache=tmp_path,
            size=8,
            batch_size=4,
        )
    )
    sizes = {name: len(split.labels) for name, split in splits.items()}
    assert sizes == {"train": 17, "validation": 3, "test": 4}
    assert round(cifar10.VALIDATION_SHARE * 50_000) == 8_000
    assert splits["train"].num_classes == 10


def test_class_folders_alone_give_a_test_set(folder, tmp_path):
    splits = load(options(folder / "train", tmp_path, limit=0))
    sizes = {name: len(split.labels) for name, split in splits.items()}
    assert sizes == {"train": 21, "validation": 4, "test": 5}


@pytest.mark.parametrize(("test_limit", "size"), [(None, 10), (5, 5), (0, 12)])
def test_images_for_the_test_are_counted_apart(
    folder, tmp_path, test_limit, size
):
    run = options(folder, tmp_path, limit=10, test_limit=test_limit)
    splits = load(dataclasses.replace(run, batch_size=4))
    sizes = {name: len(split.labels) for name, split in splits.items()}
    assert sizes == {"train": 8, "validation": 2, "test": size}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "--seeds is at least 1.*seeds=0"),
        ({"limit": -5}, "--limit is at least 0.*limit=-5"),
        ({"test_limit": -1}, "--test-limit is at least 0.*test_limit=-1"),
        ({"learning_rate": 0.0}, "--learning-rate is above 0"),
        ({"graph": "predicted", "predictor": "none_such"}, "A preset is"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    run = dataclasses.replace(options(folder, tmp_path), **changes)
    with pytest.raises(ValueError, match=message):
        cifar10.main(run)
    assert not (tmp_path / "run").exists()


def test_too_few_images_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="a batch of images.*'train': 4"):
        load(options(folder, tmp_path, limit=5))


def test_image_of_the_test_set_is_found_by_its_index(folder, tmp_path):
    drawn = draw_graphs.Options(
        data=str(folder), index=7, size=6, cache=tmp_path
    )
    image, name = draw_graphs.read(drawn)
    assert image.shape == (6, 6, 3) and name == "light 7"
    with pytest.raises(ValueError, match="12 images.*Received: index=12"):
        draw_graphs.read(dataclasses.replace(drawn, index=12))
