import csv
import dataclasses

import numpy as np
import pytest

import glomo_keras as gk
from recipes.pretrain import active_forgetting

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


def test_features_of_a_round_know_nothing_of_the_round_before(options):
    """Without a rate that moves it, each round measures the same predictor."""
    still = dataclasses.replace(
        options,
        out=options.out.with_name("still"),
        uses=("heads",),
        rounds=2,
        learning_rate=1e-12,
    )
    active_forgetting.main(still)
    one, two = history_of(still)
    # Fresh features predict no better than chance, whatever came before.
    one, two = (float(row["heads_forward_perplexity"]) for row in (one, two))
    assert one != two
    assert (one, two) == pytest.approx((12, 12), rel=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "--rounds is at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate is above 0"),
        ({"steps": 4}, "steps: 2 there, 4 now"),
    ],
)
def test_options_out_of_range_are_refused(options, preset, changes, message):
    with pytest.raises(ValueError, match=message):
        active_forgetting.main(dataclasses.replace(options, **changes))
