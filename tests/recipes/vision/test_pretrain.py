"""The recipe of pretraining on images, its evaluation and model card."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import glomo_keras as gk
from recipes.pretrain import model_card
from recipes.vision import draw_graphs as draw_pixel_graphs
from recipes.vision import evaluate as evaluate_images
from recipes.vision import pretrain as pretrain_images
from tests.data import image_files
from tests.recipes.resuming import check_resumed

TINY = {
    "size": 6,
    "crop": 5,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 3,
    "num_conv_layers": 1,
    "num_graph_layers": 2,
    "num_positions": 4,
    "batch_size": 2,
    "validation_images": 4,
    "validation_steps": 1,
    "epochs": 2,
    "steps_per_epoch": 2,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    image_files.write_all(folder)
    return folder


def options(images, folder, **kwargs):
    return pretrain_images.Options(
        images=(str(images),),
        out=folder / "run",
        cache=folder / "cache",
        **{**TINY, **kwargs},
    )


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    run = options(images, tmp_path_factory.mktemp("run"))
    pretrain_images.pretrain(run)
    yield run
    keras.config.set_dtype_policy("float32")


def test_run_leaves_its_folder(run):
    metrics = json.loads((run.out / "metrics.json").read_text())
    assert metrics["steps"] == 4
    assert metrics["images"] == len(image_files.GOOD) - 4
    assert 0 < metrics["val_bits_per_dim"] < 10
    assert len((run.out / "history.csv").read_text().splitlines()) == 3
    skipped = (run.out / "skipped.txt").read_text()
    assert all(name in skipped for name in image_files.BAD)
    predictor = gk.ImageGraphPredictor.from_preset(run.out / "preset")
    pretrainer = gk.PixelPretrainer.from_preset(run.out / "pretrainer")
    assert predictor.max_shift == 1
    for ours, theirs in zip(
        predictor.weights, pretrainer.graph_predictor.weights, strict=True
    ):
        if "seed" not in ours.path:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_run_starts_from_the_weights_of_one_on_crops(images, run, tmp_path):
    goes_on = options(
        images,
        tmp_path,
        crop=0,
        learning_rate=1e-9,
        start_from=run.out / "pretrainer",
    )
    pretrain_images.pretrain(goes_on)
    before, after = (
        gk.PixelPretrainer.from_preset(each.out / "pretrainer")
        for each in (run, goes_on)
    )
    for ours, theirs in zip(
        before.trainable_weights, after.trainable_weights, strict=True
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)
    facts = json.loads((goes_on.out / "data.json").read_text())
    metadata = goes_on.start_from / "metadata.json"
    weights = json.loads(metadata.read_text())["sha256"]["model.weights.h5"]
    assert facts["start_from"] == weights


def test_finished_run_is_not_trained_again(run, capsys):
    pretrain_images.pretrain(run)
    assert "Finished before" in capsys.readouterr().out


def test_resumed_run_ends_in_the_files_of_the_uninterrupted_one(run):
    check_resumed(
        lambda: pretrain_images.pretrain(run),
        run.out,
        ("history.csv", "metrics.json"),
    )


@pytest.mark.slow
def test_time_limit_leaves_a_preset(images, tmp_path):
    limited = options(images, tmp_path, minutes=0.0)
    gk.ImageGraphPredictor.from_preset(pretrain_images.pretrain(limited))
    assert not (limited.out / "metrics.json").exists()


def test_other_options_in_the_same_folder_are_refused(run):
    other = dataclasses.replace(run, embedding_dim=10)
    with pytest.raises(ValueError, match="embedding_dim: 8 there, 10 now"):
        pretrain_images.pretrain(other)


def test_too_few_images_are_told_before_any_work(images, tmp_path):
    run = options(images, tmp_path, validation_images=16)
    with pytest.raises(ValueError, match="a batch of images.*Received: 17"):
        pretrain_images.pretrain(run)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        pretrain_images.pretrain(options(images / "nowhere", tmp_path / "b"))


def test_a_refused_start_leaves_the_list_of_skipped_files(run, images):
    """That of the run's own data."""
    lines = (run.out / "skipped.txt").read_text()
    (run.out / "metrics.json").rename(run.out / "kept.json")
    more = images / "more.png"
    more.write_text("no image")
    try:
        with pytest.raises(ValueError, match="data have changed"):
            (images / "grey.png").rename(images.parent / "grey.png")
            pretrain_images.pretrain(run)
    finally:
        more.unlink()
        (images.parent / "grey.png").rename(images / "grey.png")
        (run.out / "kept.json").rename(run.out / "metrics.json")
    assert (run.out / "skipped.txt").read_text() == lines


@pytest.mark.parametrize("name", ["code_images", "graph_images"])
def test_no_image_to_evaluate_is_refused(run, name):
    options = evaluate_images.Options(run.out, **{name: 0})
    with pytest.raises(ValueError, match=f"at least 1. Received: {name}=0"):
        evaluate_images.evaluate(options)


def test_limit_takes_fewer_images(images, tmp_path):
    run = pretrain_images.resolve(options(images, tmp_path, limit=9))
    splits = pretrain_images.load(run)
    assert len(splits["train"]) == 5 and len(splits["validation"]) == 4


@pytest.mark.parametrize("name", pretrain_images.CONFIGS)
def test_configs_resolve_to_complete_options(name, tmp_path):
    run = pretrain_images.resolve(
        pretrain_images.Options(
            images=("x",), out=tmp_path, config=name, size=8
        )
    )
    wanted = pretrain_images.CONFIGS[name]
    assert None not in {getattr(run, key) for key in wanted}
    assert run.crop == 8  # no crop is larger than the images


def test_evaluation_and_card_of_a_run(run, tmp_path):
    evaluate_images.evaluate(
        evaluate_images.Options(run.out, code_images=2, graph_images=1)
    )
    card = model_card.make_preset(
        model_card.Options(run.out, tmp_path / "some_pixels")
    )
    text = card.read_text()
    for part in (
        "# some_pixels",
        "| histogram ",
        "| copy_left ",
        "| forward ",
        "6x6 pixels, 2 of them",
    ):
        assert part in text, part
    assert "$" not in text
    names = {path.name for path in card.parent.iterdir()}
    assert {"centre.png", "bottom_right.png", "learning_curve.png"} <= names
    gk.ImageGraphPredictor.from_preset(card.parent)


def test_edges_are_drawn(run, images, tmp_path, capsys):
    draw_pixel_graphs.main(
        draw_pixel_graphs.Options(
            image=images / "grey16.png",
            predictor=str(run.out / "preset"),
            size=6,
            out=tmp_path,
        )
    )
    assert (tmp_path / "centre.png").exists()
    assert (tmp_path / "bottom_right.png").exists()
    assert "into (5, 5), layer 2" in capsys.readouterr().out


def test_what_cannot_be_drawn_is_told(images, tmp_path):
    with pytest.raises(ValueError, match="cannot be used: not an image"):
        draw_pixel_graphs.read(
            draw_pixel_graphs.Options(image=images / "notes.txt")
        )
    with pytest.raises(ValueError, match="either an image or data"):
        draw_pixel_graphs.read(draw_pixel_graphs.Options())
