r"""Tokenises a corpus into the cache, where `recipes.pretrain.text` finds it.

    python -m recipes.pretrain.prepare --corpus 'wiki/*/wiki_*' \
        --num-processes 8

on one machine, or on many, by Apache Beam (the extra `beam`):

    python -m recipes.pretrain.prepare --corpus '/shared/wiki/*/wiki_*' \
        --cache /shared/cache --runner FlinkRunner --flink_master host:8081

Whatever follows that is not listed below is an option of Beam:
`--runner DirectRunner --direct_num_workers 2 --direct_running_mode
multi_processing` tries it on one machine. All workers must reach the corpus
and the cache by the same paths.

The files are the same, byte for byte, however they were made. Killed and
started again, the same command goes on. A broken file is named and left out
from its fault on; `--no-skip-broken` makes it an error. Give
`recipes.pretrain.text` the same `--corpus` and `--cache`, and the same
options of the tokeniser.
"""

import dataclasses
import time

import tyro

from glomo_keras import data
from recipes.common import beam_arguments
from recipes.common import check_positive
from recipes.pretrain import pack


@dataclasses.dataclass(kw_only=True)
class Options(pack.TokeniseOptions):
    """Tokenises a corpus, in processes or by Apache Beam."""

    num_processes: int = 1
    """Processes on this machine, without Beam."""
    skip_broken: bool = True
    """Go on after a broken file, with a warning that names it."""
    runner: str | None = None
    """Runner of Apache Beam; None: without Beam."""


def prepare(options, beam_options=()):
    """Runs the recipe.

    Args:
        options: `Options`.
        beam_options: Sequence of str, options of Beam.

    Returns:
        `glomo_keras.data.TokenizedCorpus`.

    Raises:
        ValueError: If there are options of Beam and no runner, or a number
            is not positive.
    """
    check_positive(options, "num_processes")
    beam_options = beam_arguments(options, beam_options)
    start = time.perf_counter()
    corpus = tokenise(options, beam_options)
    seconds = time.perf_counter() - start
    print(
        f"{corpus.path}: {corpus.num_words:,} words, "
        f"{len(corpus.vocabulary):,} in the vocabulary, "
        f"{corpus.unknown_rate:.2%} of the words unknown\n"
        f"{seconds:.1f} s, {corpus.num_words / seconds:,.0f} words/s"
    )
    return corpus


def tokenise(options, beam_options):
    """Returns the tokenised corpus."""
    arguments = {
        "spec": list(options.corpus),
        "cache_dir": options.cache.expanduser(),
        "data_dir": options.data_dir,
        "skip_broken": options.skip_broken,
        **pack.tokenise_options(options),
    }
    if beam_options is None:
        return data.prepare_corpus(
            **arguments, num_processes=options.num_processes
        )
    return data.prepare_on_beam(**arguments, beam_options=beam_options)


if __name__ == "__main__":
    prepare(*tyro.cli(Options, return_unknown_args=True))
