"""Options of a search, and what they mean for the task's recipe."""

import dataclasses
import json
import pathlib
from typing import Literal

from glomo_keras import data
from glomo_keras.data.text.cache_files import digest
from recipes.tasks import options as task_options_lib
from recipes.tasks.features import make_features
from recipes.tuning import predictors

HARMLESS = (
    "out",
    "max_trials",
    "chief_minutes",
    "predictor_cache",
    "overwrite",
)


@dataclasses.dataclass(kw_only=True)
class Options(
    task_options_lib.DataOptions,
    task_options_lib.FeatureOptions,
    predictors.ContextOptions,
):
    """Searches for how a task uses graphs. None: as in the task's recipe."""

    task: Literal["imdb", "mnli"]
    out: pathlib.Path
    """Folder of the search."""
    space: Literal["mixture", "context", "all"] = "mixture"
    """What is searched, see above."""
    tuner: Literal["random", "bayesian", "hyperband", "grid"] = "random"
    max_trials: int = 20
    seed: int = 0
    """Of the search and of every trial."""
    chief_minutes: float = 60.0
    """A chief gives up after so long without a word from any worker; longer
    than a trial takes."""
    overwrite: bool = False
    """Begin anew in a folder that holds a search with other options."""

    # What is not searched.
    predictor: str = "glomo_small_en"
    """Of the space mixture: a preset's name or folder."""
    graph: Literal["glomo", "glomo-rnn"] = "glomo"
    """Of the space context: the graphs' place."""
    num_mixtures: int | None = None
    conditioned: bool | None = None
    products: bool | None = None
    graph_layers: tuple[int, ...] | None = None
    graph_units: int | None = None
    hidden_dim: int | None = None
    max_length: int | None = None
    dropout: float | None = None
    learning_rate: float | None = None
    """The middle of those that are tried where it is searched."""
    epochs: int | None = None
    """Of each trial; of Hyperband's longest."""
    steps_per_epoch: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: Literal["auto", "true", "false"] = "auto"
    """Whether XLA compiles the training step."""


def task_options(recipe, options, **values):
    """The options of a task's recipe.

    Args:
        recipe: module.
        options: `Options`; what is None is the recipe's own.
        **values: of a trial, before those.
    """
    names = {field.name for field in dataclasses.fields(recipe.Options)}
    given = {**vars(options), "overwrite": False, **values}
    return recipe.Options(
        **{k: v for k, v in given.items() if k in names and v is not None}
    )


def check(options, recipe):
    """Refuses what cannot be searched, before any work.

    Raises:
        ValueError: an option out of its range, or one that is missing.
        FileNotFoundError: no such folder of data.
    """
    task = task_options(recipe, options, predictor=options.predictor)
    task_options_lib.check(task)
    recipe.check(task)
    make_features(task)
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise FileNotFoundError(
            "--data-dir is no folder. Received: "
            f"data_dir={str(options.data_dir)!r}"
        )
    if options.max_trials < 1 or options.seed < 0 or options.chief_minutes <= 0:
        raise ValueError(
            "--max-trials is at least 1, --seed 0, --chief-minutes above 0. "
            f"Received: max_trials={options.max_trials}, seed={options.seed}, "
            f"chief_minutes={options.chief_minutes}"
        )
    given = [options.predictor]
    if options.space != "mixture":
        predictors.check(options)
        given = options.predictors.values()
    for preset in given:
        data.WordTokenizer.from_preset(preset)


def settings(options):
    """What makes a search another one."""
    made = dataclasses.asdict(options)
    if options.space != "mixture":
        made["context_predictors"] = {
            str(length): pathlib.Path(place).parent.name
            for length, place in predictors.planned(options).items()
        }
    return made


def project_name(options):
    """The folder of the trials, named after what makes a search another one."""
    made = json.loads(json.dumps(settings(options), default=str))
    key = {k: v for k, v in made.items() if k not in HARMLESS}
    return f"trials-{digest(key)}"
