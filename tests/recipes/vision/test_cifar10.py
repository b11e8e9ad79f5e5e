import json

import keras
import numpy as np
import pytest
from PIL import Image

import glomo_keras as gk
from recipes.tasks import measure_messages
from recipes.vision import cifar10
from recipes.vision import draw_graphs as draw_pixel_graphs
from tests.data.images.test_images import write_cifar
from tests.models.small_models import randomised
from tests.models.test_image_graph_predictor import SIZES


class SmallResNet:
    """In place of the ResNet, which takes seconds to make."""

    def __init__(self, depth, num_classes, dtype):
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.dense = keras.layers.Dense(num_classes, name="logits")

    def __call__(self, x):
        return self.dense(self.pool(x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes that a mean of colours tells apart, and a predictor."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 6)):
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
    kwargs = {
        "graph": ("none", "glomo"),
        "epochs": 3,
        "batch_size": 10,
        "learning_rate": 0.5,
        **kwargs,
    }
    return cifar10.Options(
        data=str(folder),
        out=out / "run",
        cache=out / "cache",
        predictor=str(folder / "predictor"),
        size=6,
        **kwargs,
    )


@pytest.fixture
def small_resnet(monkeypatch):
    monkeypatch.setattr(
        "glomo_keras.models.image_classifier._ResNet", SmallResNet
    )


def test_from_images_to_the_table(folder, tmp_path, small_resnet, capsys):
    run = options(folder, tmp_path, rounds=2)
    rows = cifar10.main(run)
    assert [row["graph"] for row in rows] == list(run.graph)
    assert all(len(row["rounds"]) == 2 for row in rows)
    assert min(row["mean"] for row in rows) > 0.9
    table = (run.out / "results.md").read_text()
    assert "6x6 pixels, 50 images for training, 10 for validation" in table
    assert all(f"| {graph} |" in table for graph in run.graph)
    assert "notes.txt" in capsys.readouterr().out
    metrics = json.loads((run.out / "glomo/round_2/metrics.json").read_text())
    (weights,) = metrics["mixture_weights"]["forward"]
    assert len(weights) == 3 * 2 and abs(sum(weights) - 1) < 1e-5
    again = cifar10.main(run)
    assert again == rows
    assert "Finished before" in capsys.readouterr().out


def test_streamed_and_kept_messages_train_alike(folder, tmp_path, small_resnet):
    scores = []
    for messages in ("cache", "stream"):
        run = options(
            folder, tmp_path / messages, graph=("glomo",), messages=messages
        )
        cifar10.main(run)
        path = run.out / "glomo" / "round_1" / "history.csv"
        rows = np.genfromtxt(path, delimiter=",", names=True)
        scores.append([rows["loss"], rows["val_loss"]])
    np.testing.assert_allclose(*scores, rtol=0.02)
    assert (tmp_path / "cache" / "cache").exists()
    kept = list((tmp_path / "stream" / "cache").glob("messages-*"))
    assert not kept


def test_uniform_and_random_graphs_train(folder, tmp_path, small_resnet):
    run = options(folder, tmp_path, graph=("uniform", "random"))
    rows = cifar10.main(run)
    assert [row["graph"] for row in rows] == list(run.graph)
    assert all(row["deviation"] is None for row in rows)


def test_messages_are_measured(folder, small_resnet):
    rows = measure_messages.main(
        measure_messages.Options(
            str(folder / "predictor"), size=6, batch_size=2, steps=1
        )
    )
    assert rows["size"] == "6x6"
    step = "training step, {} (CPU ms an image)"
    assert all(float(rows[step.format(x)]) > 0 for x in ("stream", "cache"))


def test_split_is_of_the_papers_shares(tmp_path):
    write_cifar(tmp_path, "binary")
    run = cifar10.resolve(
        cifar10.Options(
            str(tmp_path), tmp_path, cache=tmp_path, size=8, batch_size=4
        )
    )
    splits, classes = cifar10.load(run)
    sizes = {name: len(split.labels) for name, split in splits.items()}
    assert sizes == {"train": 17, "validation": 3, "test": 4}
    assert round(cifar10.VALIDATION_SHARE * 50_000) == 8_000
    assert len(classes) == 10


def test_class_folders_alone_give_a_test_set(folder, tmp_path):
    run = cifar10.resolve(options(folder / "train", tmp_path, limit=0))
    splits, _ = cifar10.load(run)
    sizes = {name: len(split.labels) for name, split in splits.items()}
    assert sizes == {"train": 42, "validation": 8, "test": 10}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "--rounds is at least 1.*rounds=0"),
        ({"limit": -5}, "--limit is at least 0.*limit=-5"),
        ({"learning_rate": 0.0}, "--learning-rate is above 0"),
        ({"graph": ("none", "none")}, "--graph is.*different"),
    ],
)
def test_wrong_options_are_refused(folder, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        cifar10.main(options(folder, tmp_path, **changes))
    assert not (tmp_path / "run").exists()


def test_too_few_images_are_told(folder, tmp_path):
    run = options(folder, tmp_path, limit=5)
    with pytest.raises(ValueError, match="a batch of images.*Received: 4, 1"):
        cifar10.main(run)


def test_cifar_index_is_drawn(folder, tmp_path):
    image, name = draw_pixel_graphs.read(
        draw_pixel_graphs.Options(
            data=str(folder), index=7, size=6, cache=tmp_path
        )
    )
    assert image.shape == (6, 6, 3) and name == "light 7"
    with pytest.raises(ValueError, match="12 images.*Received: index=12"):
        draw_pixel_graphs.read(
            draw_pixel_graphs.Options(
                data=str(folder), index=12, size=6, cache=tmp_path
            )
        )
