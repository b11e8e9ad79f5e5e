"""Graph predictors of several context lengths, pretrained once and kept.

Each lies in a run folder of recipes.pretrain.text in the cache, named after
its context length and a digest of everything it depends on, so that a later
search with the same corpus and sizes finds it. A pretraining that was killed
goes on; processes that need the same one wait for it.
"""

import contextlib
import dataclasses
import fcntl
import pathlib
from typing import Literal

import keras

from glomo_keras import data
from glomo_keras.data.text.cache_files import digest
from recipes.pretrain import text as pretrain_text


@dataclasses.dataclass(kw_only=True)
class ContextOptions:
    context_lengths: tuple[int, ...] = (1, 3, 5)
    """The context lengths D that are tried."""
    predictors: dict[int, str] = dataclasses.field(default_factory=dict)
    """Predictors at hand: D NAME-OR-FOLDER, several of them if need be."""
    corpus: tuple[str, ...] = ()
    """What those of the other D are pretrained on: text files, folders,
    globs, or tfds:NAME."""
    pretrain_config: Literal["small", "base"] = "small"
    """Their sizes, see recipes.pretrain.text."""
    pretrain_epochs: int | None = None
    pretrain_steps_per_epoch: int | None = None
    pretrain_vocabulary_size: int | None = None
    predictor_cache: pathlib.Path = pathlib.Path(
        "~/.cache/glomo_keras/predictors"
    )
    """Where the pretrained ones are kept."""


def check(options):
    """Refuses what cannot be pretrained.

    Raises:
        ValueError: no context length, one below 1, or one that has neither a
            predictor nor a corpus.
    """
    lengths = options.context_lengths
    if not lengths or min(lengths) < 1 or len(set(lengths)) < len(lengths):
        raise ValueError(
            "--context-lengths are different numbers from 1. Received: "
            f"context_lengths={lengths}"
        )
    missing = [x for x in lengths if x not in options.predictors]
    if missing and not options.corpus:
        raise ValueError(
            "There is no predictor of some context lengths: give them, "
            "--predictors D FOLDER, or --corpus for pretraining them. "
            f"Received: context_lengths without predictor={missing}"
        )
    unused = set(options.predictors) - set(lengths)
    if unused:
        raise ValueError(
            "--predictors has context lengths that --context-lengths has not. "
            f"Received: {sorted(unused)}"
        )


def planned(options):
    """Where the predictor of each context length is, or will be.

    Args:
        options: `ContextOptions`.

    Returns:
        Dict of D to a preset's name or folder.
    """
    places = {}
    for length in options.context_lengths:
        if length in options.predictors:
            places[length] = options.predictors[length]
        else:
            places[length] = str(_pretraining(options, length).out / "preset")
    return places


def prepare(options):
    """Pretrains those that are neither given nor in the cache.

    Returns:
        Dict as `planned` gives it, now of presets that are there.
    """
    policy = keras.config.dtype_policy()
    for length in options.context_lengths:
        if length not in options.predictors:
            pretraining = _pretraining(options, length)
            with _alone(pretraining.out):
                _pretrain(pretraining)
    keras.config.set_dtype_policy(policy)
    return planned(options)


def _pretrain(pretraining):
    if (pretraining.out / "metrics.json").exists():
        print(f"Predictor of D={pretraining.context_length}: {pretraining.out}")
        return
    pretrain_text.pretrain(pretraining)
    keras.backend.clear_session()


def _pretraining(options, length):
    """Options of recipes.pretrain.text for one context length."""
    cache = options.predictor_cache.expanduser()
    pretraining = pretrain_text.resolve(
        pretrain_text.Options(
            corpus=options.corpus,
            out=cache,
            cache=cache / "corpora",
            config=options.pretrain_config,
            vocabulary_size=options.pretrain_vocabulary_size,
            context_length=length,
            steps_per_epoch=options.pretrain_steps_per_epoch,
            epochs=options.pretrain_epochs,
        )
    )
    settings = dataclasses.asdict(pretraining)
    for name in ("out", "cache", "corpus"):
        del settings[name]
    # The text itself, wherever it is given from.
    settings["corpus"] = data.open_corpus(list(options.corpus)).signature()
    out = cache / f"context-{length}-{digest(settings)}"
    return dataclasses.replace(pretraining, out=out)


@contextlib.contextmanager
def _alone(folder):
    """Waits until no other process pretrains in the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
