"""Makes a preset for the package of a finished run, with its model card.

    python -m recipes.pretrain.evaluate --run runs/wiki
    python -m recipes.pretrain.ngram_baselines --corpus 'wiki/AA/wiki_*' --out FILE
    python -m recipes.pretrain.model_card --run runs/wiki --ngrams FILE \\
        --out glomo_keras/presets/glomo_small_en

Copies the graph predictor of the run in float32 and writes README.md and
learning_curve.png beside it. Every number of the card comes from the files of
the run and of the two other commands, and the card names the commands.
Refuses n-grams of other held-out windows than the model's, and a preset of
more than `--max-megabytes`.
"""

import dataclasses
import json
import pathlib
import shlex
import shutil
import tempfile

import tyro

import glomo_keras as gk
from glomo_keras import training
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import model_card_text
from recipes.pretrain import ngram_baselines
from recipes.pretrain import text as pretrain_text


@dataclasses.dataclass
class Options:
    """Makes a preset with a model card of a finished run."""

    run: pathlib.Path
    """The run folder, with evaluation.json."""
    ngrams: pathlib.Path
    """What recipes.pretrain.ngram_baselines wrote."""
    out: pathlib.Path
    """The folder of the preset; its name is the model's."""
    corpus_note: str = ""
    """What a user should know of this corpus, for the card."""
    max_megabytes: float = 20.0


def make_preset(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the README.

    Raises:
        ValueError: if the run or its evaluation is not complete, the n-grams
            are of other events, or the preset is too large.
    """
    run_options = evaluate_pretrainer.read_options(options.run)
    evaluation = read(options.run / "evaluation.json", "evaluate_pretrainer")
    ngrams = read(options.ngrams, "ngram_baselines")
    check_same_events(evaluation, ngrams)
    predictor = gk.GraphPredictor.from_preset(
        options.run / "preset", dtype="float32"
    )
    facts = model_card_text.Facts(
        name=options.out.name,
        run_options=run_options,
        metrics=read(options.run / "metrics.json", "pretrain_text"),
        history=training.read_history(options.run / "history.csv"),
        timing=training.read_history(options.run / "timing.csv"),
        evaluation=evaluation,
        ngrams=ngrams,
        parameters=predictor.count_params(),
        corpus_note=options.corpus_note,
        commands=commands(options, run_options, evaluation, ngrams),
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder, facts.name)  # with the usual rights
        predictor.save_to_preset(folder)
        model_card_text.draw_learning_curve(
            facts, folder / "learning_curve.png"
        )
        (folder / "README.md").write_text(model_card_text.card(facts), "utf-8")
        check_size(folder, options.max_megabytes)
        shutil.copytree(folder, options.out, dirs_exist_ok=True)
    print(f"-> {options.out}")
    return options.out / "README.md"


def read(path, recipe):
    """A JSON file that a recipe wrote."""
    if not path.is_file():
        raise ValueError(
            f"A file of recipes.{recipe} is missing: run it first. "
            f"Received: {path}"
        )
    return json.loads(path.read_text("utf-8"))


def check_same_events(evaluation, ngrams):
    """Refuses perplexities of different events."""
    if "best" not in ngrams:
        raise ValueError(
            "The n-grams are not complete: start recipes.pretrain.ngram_baselines "
            f"again. Received: {ngrams.get('perplexity')}"
        )
    corpus, settings = evaluation["corpus"], ngrams["settings"]
    ours = {
        "windows": evaluation["windows"],
        "vocabulary_size": corpus["vocabulary_size"],
        "train_words": corpus["train_words"],
    }
    theirs = {name: ngrams[name] for name in ours}
    if ours != theirs:
        raise ValueError(
            "The model and the n-grams have to see the same text: run both "
            "recipes with one corpus, vocabulary, seed, max_length and number "
            f"of windows. Received: {ours} for the model, {theirs} for the "
            f"n-grams, whose settings are {settings}"
        )


def check_size(folder, max_megabytes):
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    megabytes = sum(sizes.values()) / 1e6
    if megabytes > max_megabytes:
        raise ValueError(
            f"The preset is larger than {max_megabytes:g} MB, the most that "
            "goes into the package: take a smaller vocabulary_size or "
            f"embedding_dim. Received: {megabytes:.1f} MB, bytes: {sizes}"
        )


# === The commands ===


def commands(options, run_options, evaluation, ngrams):
    """The commands that gave the numbers, by recipe."""
    of_ngrams = ngram_baselines.Options(
        **with_corpus(ngrams["settings"]), out=options.ngrams
    )
    of_evaluation = evaluate_pretrainer.Options(
        options.run, **with_corpus(evaluation["settings"])
    )
    defaults = pretrain_text.resolve(
        pretrain_text.Options(
            run_options.corpus, run_options.out, config=run_options.config
        )
    )
    return {
        "pretrain_text": command_line("pretrain_text", run_options, defaults),
        "evaluate_pretrainer": command_line(
            "evaluate_pretrainer",
            of_evaluation,
            evaluate_pretrainer.Options(options.run),
        ),
        "ngram_baselines": command_line(
            "ngram_baselines",
            of_ngrams,
            ngram_baselines.Options(of_ngrams.corpus, options.ngrams),
        ),
        "model_card": command_line("model_card", options, None),
    }


def with_corpus(settings):
    """Settings from JSON with the corpus as options have it."""
    corpus = settings["corpus"]
    return {**settings, "corpus": tuple(corpus) if corpus else None}


def command_line(recipe, options, defaults):
    """The command of a recipe with these options.

    Args:
        recipe: str, the module's name.
        options: dataclass.
        defaults: the same dataclass with its required options, or None.

    Returns:
        String for a shell; options that have their default are left out.
    """
    parts = ["python", "-m", f"recipes.{recipe}"]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        required = field.default is dataclasses.MISSING
        default = getattr(defaults, field.name, field.default)
        differs = value != default or field.name == "config"
        if required or differs:
            parts += flag(field, value)
    return shlex.join(parts)


def flag(field, value):
    name = field.name.replace("_", "-")
    if field.type is bool:
        return [f"--{name}" if value else f"--no-{name}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{name}", *map(str, values)]


if __name__ == "__main__":
    make_preset(tyro.cli(Options))
