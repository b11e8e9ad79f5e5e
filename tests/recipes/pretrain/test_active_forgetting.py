import csv
import dataclasses
import re

import numpy as np
import pytest

import glomo_keras as gk
from glomo_keras.training.checkpoint_store import CheckpointStore
from recipes.pretrain import active_forgetting
from recipes.pretrain import model_card
from tests.finished_run import read_json

WORDS = ["<pad>", "<unk>", *(f"w{i}" for i in range(10))]


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forgetting")
    predictor = gk.GraphPredictor(
        len(WORDS), embedding_dim=8, num_heads=2, key_dim=4, num_conv_layers=1
    )
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "keep"}
    predictor.save_to_preset(folder / "preset")
    words = np.random.default_rng(0).choice(WORDS[2:], (40, 30))
    text = "\n\n".join(" ".join(row) for row in words)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    return active_forgetting.Options(
        corpus=(str(folder / "text.txt"),),
        predictor=str(folder / "preset"),
        out=folder / "out",
        cache=folder / "cache",
        uses=("heads", "mixture"),
        rounds=3,
        validation_fraction=0.2,
        embedding_dim=8,
        steps=2,
        batch_size=2,
        max_length=8,
        num_positions=3,
        num_candidates=0,
        held_out_windows=4,
    )


@pytest.fixture(scope="module")
def preset(options):
    return active_forgetting.main(options)


def weights_of(preset):
    predictor = gk.GraphPredictor.from_preset(preset)
    return {weight.path: weight.numpy() for weight in predictor.weights}


def history_of(options):
    with (options.out / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_predictor_learns_in_both_directions(options, preset):
    before, after = weights_of(options.predictor), weights_of(preset)
    for path, weight in after.items():
        moved = np.abs(weight - before[path]).max()
        assert np.isfinite(moved)
        # Statistics of normalisation stay, all that gradients reach moves.
        assert ("moving" in path) == (moved == 0), path
    names = gk.GraphPredictor.from_preset(preset).vocabulary
    assert names == WORDS


def test_rounds_take_the_uses_in_turn(options, preset):
    rows = history_of(options)
    for row, use in zip(rows, ("heads", "mixture", "heads"), strict=True):
        values = {name: x for name, x in row.items() if x and name != "round"}
        names = {f"{use}_{d}_perplexity" for d in ("forward", "backward")}
        assert values.keys() == names
        assert all(1 < float(value) < 100 for value in values.values())


def test_a_run_that_was_stopped_goes_on(options, preset):
    other = dataclasses.replace(options, out=options.out.with_name("stopped"))
    active_forgetting.main(dataclasses.replace(other, rounds=2))
    again = active_forgetting.main(other)
    assert history_of(other) == history_of(options)
    ours, theirs = weights_of(again), weights_of(preset)
    for path, weight in ours.items():
        np.testing.assert_array_equal(weight, theirs[path], path)


@pytest.mark.parametrize(
    "killed_in",
    [
        (CheckpointStore, "save"),
        (gk.GraphPredictor, "save_to_preset"),
        (active_forgetting, "report"),
    ],
)
def test_a_run_that_was_killed_goes_on(
    options, preset, tmp_path, monkeypatch, killed_in
):
    """Killed after its first round, where a step of that round is missing."""
    killed = dataclasses.replace(options, out=tmp_path / "killed")
    active_forgetting.main(dataclasses.replace(killed, rounds=1))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*killed_in, interrupt)
        active_forgetting.main(killed)
    assert not (killed.out / "metrics.json").exists()  # of the first round
    again = active_forgetting.main(killed)
    assert history_of(killed) == history_of(options)
    ours, theirs = weights_of(again), weights_of(preset)
    for path, weight in ours.items():
        np.testing.assert_array_equal(weight, theirs[path], path)


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def test_seeds_share_no_round(options):
    seeds = {
        active_forgetting.seed_of(dataclasses.replace(options, seed=seed), n)
        for seed in range(3)
        for n in range(40)
    }
    assert len(seeds) == 3 * 40


def test_model_card_has_the_last_round_of_each_use(options, preset, tmp_path):
    card_options = model_card.Options(options.out, tmp_path / "tiny_en")
    card = model_card.make_preset(card_options).read_text("utf-8")
    assert "$" not in card and "3 rounds" in card
    metrics = read_json(options.out / "metrics.json")
    for use in options.uses:
        names = [f"{use}_{d}_perplexity" for d in ("forward", "backward")]
        values = [f"{metrics[name]:.4g}" for name in names]
        assert re.search(rf"{use} +\| +{values[0]} +\| +{values[1]} ", card)
    assert (tmp_path / "tiny_en" / "learning_curve.png").exists()
    with pytest.raises(ValueError, match="--whole is not for"):
        model_card.make_preset(dataclasses.replace(card_options, whole=True))


def test_other_options_in_the_folder_are_refused(options, preset):
    with pytest.raises(ValueError, match="steps: 2 there, 4 now"):
        active_forgetting.main(dataclasses.replace(options, steps=4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "--rounds is at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate is above 0"),
        ({"seed": -1}, "--seed is at least 0"),
        ({"uses": ()}, "--uses is one or more"),
        ({"predictor": "{out}/preset"}, "--predictor is a preset of another"),
    ],
)
def test_options_out_of_range_are_refused(options, changes, message):
    out = str(options.out)
    changes = {
        name: value.format(out=out) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    with pytest.raises(ValueError, match=message):
        active_forgetting.main(dataclasses.replace(options, **changes))
