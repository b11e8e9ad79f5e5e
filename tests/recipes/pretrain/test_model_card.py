import dataclasses
import re
import shlex
import shutil

import keras
import numpy as np
import pytest
import tyro

import glomo_keras as gk
from glomo_keras import bundled_presets
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import model_card
from recipes.pretrain import model_card_text
from recipes.pretrain import ngram_baselines
from recipes.pretrain import text as pretrain_text
from tests.finished_run import make_run
from tests.finished_run import read_json

MODULES = {
    "pretrain_text": pretrain_text,
    "evaluate_pretrainer": evaluate_pretrainer,
    "ngram_baselines": ngram_baselines,
    "model_card": model_card,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = make_run(
        tmp_path_factory.mktemp("card"),
        precision="mixed_bfloat16",
        dropout=0.25,
        context_length=1,
        coupled=True,
    )
    evaluate_pretrainer.evaluate(evaluate_pretrainer.Options(run.out))
    return run


@pytest.fixture(scope="module")
def options(run):
    ngrams = ngram_baselines.Options(
        corpus=run.corpus,
        out=run.out.parent / "ngrams.json",
        cache=run.cache,
        vocabulary_size=run.vocabulary_size,
        validation_fraction=run.validation_fraction,
        max_length=run.max_length,
    )
    ngram_baselines.measure(ngrams)
    return model_card.Options(
        run=run.out,
        ngrams=ngrams.out,
        out=run.out.parent / "presets" / "tiny_en",
        corpus_note="Words drawn at random.",
    )


@pytest.fixture(scope="module")
def card(options):
    return model_card.make_preset(options).read_text("utf-8")


def test_preset_is_the_predictor_of_the_run_in_float32(run, options, card):
    copy = gk.GraphPredictor.from_preset(options.out)
    assert copy.token_embedding.compute_dtype == "float32"
    whole = gk.ContextPretrainer.from_preset(run.out / "pretrainer")
    predictor = whole.graph_predictor
    assert copy.vocabulary == predictor.vocabulary
    assert copy.tokenizer_config == {"lowercase": True, "numbers": "N"}
    theirs = {w.path: w for w in predictor.weights}
    assert {w.path for w in copy.weights} == set(theirs)
    for ours in copy.weights:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours.value),
            keras.ops.convert_to_numpy(theirs[ours.path].value),
        )


def test_card_shows_what_the_files_say(run, options, card):
    evaluation = read_json(run.out / "evaluation.json")
    ours = evaluation["next_word_perplexity"]
    forward, backward = ours["forward"], ours["backward"]
    name = "this model (with its feature predictor)"
    assert f"| {name} | {forward:.1f} | {backward:.1f} |" in card
    best = read_json(options.ngrams)["best"]["forward"]
    for order in ("bigram", "trigram"):
        assert re.search(
            rf"\| {order}, .*? \| {best[order]['perplexity']:.1f} \|", card
        )
    assert f"| unigram | {best['unigram']['perplexity']:.1f} |" in card
    ratio = forward / best["bigram"]["perplexity"]
    assert ratio > 1  # an untrained model
    assert f"{100 * (ratio - 1):.1f} % above the bigram's forward" in card
    distance = evaluation["graphs"]["backward"]["mean_distance"][1][0]
    assert re.search(rf"\| backward \| 2 \| 1 \|.* {distance:.3f} \|", card)
    assert "| steps | 10 |" in card
    assert "| 5 | 9.5 | 9.5 | 9.5 | 9.5 |" in card
    assert "| `precision` | mixed_bfloat16 |" in card
    assert "Licences: not recorded. Words drawn at random." in card


def test_commands_of_the_card_parse_to_the_options_of_the_files(
    run, options, card
):
    block = card.split("```bash\n")[1].split("\n```")[0]
    parsed = {}
    for line in block.splitlines():
        python, flag, module, *arguments = shlex.split(line)
        name = module.removeprefix("recipes.")
        parsed[name] = tyro.cli(MODULES[name].Options, args=arguments)
    assert list(parsed) == list(MODULES)
    assert pretrain_text.resolve(parsed["pretrain_text"]) == run
    assert parsed["model_card"] == options
    assert parsed["evaluate_pretrainer"].run == run.out
    settings = read_json(options.ngrams)["settings"]
    for name, value in dataclasses.asdict(parsed["ngram_baselines"]).items():
        if name in settings and name != "corpus":
            assert value == settings[name]


def test_example_of_the_card_runs(options, card, monkeypatch):
    monkeypatch.setattr(bundled_presets, "FOLDER", options.out.parent)
    names = {}
    exec(card.split("```python\n")[1].split("```")[0], names)
    assert tuple(names["graphs"].shape) == (1, 2, 2, 7, 7)


def test_picture_is_small(options, card):
    assert 1000 < (options.out / "learning_curve.png").stat().st_size < 60_000


def test_wall_time_is_that_of_all_epochs():
    timing = [
        {"epoch": 0, "seconds": 3600.0, "cpu_seconds": 7000.0},
        {"epoch": 1, "seconds": 1800.0, "cpu_seconds": 2000.0},
    ]
    expected = "1.50 hours, 2.50 CPU hours"
    assert model_card_text.wall_time(timing) == expected


def test_licences_are_named_by_the_sources():
    assert "CC BY-SA" in model_card_text.licences(["/data/wiki/AA/wiki_*"])
    both = model_card_text.licences(["wiki/a", "imdb_unsup"])
    assert "CC BY-SA" in both and "research" in both


def test_preset_over_the_limit_is_refused(options, tmp_path):
    small = dataclasses.replace(
        options, out=tmp_path / "big", max_megabytes=0.01
    )
    with pytest.raises(ValueError, match="larger than 0.01 MB.*Received: "):
        model_card.make_preset(small)
    assert not small.out.exists()


@pytest.mark.parametrize("part", ["windows", "train_words"])
def test_ngrams_of_other_text_are_refused(options, tmp_path, part):
    ngrams = read_json(options.ngrams)
    ngrams[part] = "other"
    other = dataclasses.replace(options, ngrams=tmp_path / "ngrams.json")
    ngram_baselines.save(ngrams, other.ngrams)
    with pytest.raises(ValueError, match="see the same text.*Received: "):
        model_card.make_preset(other)


def test_incomplete_ngrams_are_refused(options, tmp_path):
    ngrams = read_json(options.ngrams)
    del ngrams["best"]
    other = dataclasses.replace(options, ngrams=tmp_path / "ngrams.json")
    ngram_baselines.save(ngrams, other.ngrams)
    with pytest.raises(ValueError, match="n-grams are not complete"):
        model_card.make_preset(other)


def test_missing_evaluation_names_the_recipe(run, options, tmp_path):
    shutil.copytree(run.out, tmp_path / "run")
    (tmp_path / "run" / "evaluation.json").unlink()
    missing = dataclasses.replace(options, run=tmp_path / "run")
    with pytest.raises(ValueError, match="recipes.pretrain.evaluate is"):
        model_card.make_preset(missing)
