"""Writes the strongest edges of all texts of a corpus as Parquet files.

    python -m recipes.graphs.extract_edges --predictor glomo_small_en \
--corpus 'wiki/*/wiki_*' --out runs/edges --num-processes 8

on one machine (needs the extra `parquet`), or on many, by Apache Beam (the
extra `beam`):

    python -m recipes.graphs.extract_edges --predictor glomo_small_en \
--corpus '/shared/wiki/*/wiki_*' --out /shared/edges \
--runner FlinkRunner --flink_master host:8081

Whatever follows that is not listed below is an option of Beam, as in
`recipes.pretrain.prepare`.

`pandas.read_parquet("runs/edges/edges")` reads the edges back, and
`runs/edges/documents` has the texts: `glomo_keras.serving.extract_edges`
lists the columns. Killed and started again, the same command goes on; the
files are the same, byte for byte, however they were made. To that end each
process has one thread of TensorFlow's, unless TF_NUM_INTRAOP_THREADS says
otherwise (in one process and on Beam).
"""

import dataclasses
import os
import pathlib
import time
from typing import Literal

import tyro

from glomo_keras import serving
from recipes.common import beam_arguments
from recipes.common import check_positive
from recipes.serving.export import load_predictor


@dataclasses.dataclass(kw_only=True)
class Options:
    """Writes the strongest edges of all texts of a corpus."""

    corpus: tuple[str, ...]
    """Text files, folders, globs, or tfds:NAME."""
    out: pathlib.Path
    """Folder of the tables; one corpus, predictor and set of options each."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    edges_per_word: float = 2.0
    """Most edges of a window for each of its words."""
    max_length: int = 100
    """Most words of a window; edges do not leave theirs."""
    batch_size: int = 16
    """Windows computed at a time."""
    shard_words: int = 100_000
    """Most words of a shard."""
    texts: Literal["auto", "file", "line", "blank_line"] = "auto"
    """What one text is in a plain file; auto: the file, or lines if large."""
    min_paragraph_words: int = 1
    """Shorter paragraphs are left out."""
    data_dir: str | None = None
    """Where prepared TFDS data sets lie."""
    skip_broken: bool = True
    """Go on after a broken file, with a warning that names it."""
    num_processes: int = 1
    """Processes on this machine, without Beam."""
    runner: str | None = None
    """Runner of Apache Beam; None: without Beam."""


LIBRARY_OPTIONS = (
    "edges_per_word",
    "max_length",
    "batch_size",
    "shard_words",
    "texts",
    "min_paragraph_words",
    "data_dir",
    "skip_broken",
)


def main(options, beam_options=()):
    """Runs the recipe.

    Args:
        options: `Options`.
        beam_options: Sequence of str, options of Beam.

    Returns:
        `pathlib.Path`, `options.out`.

    Raises:
        ValueError: If an option is wrong, or there are options of Beam and
            no runner.
    """
    check_positive(
        options, "num_processes", "max_length", "batch_size", "shard_words"
    )
    beam_options = beam_arguments(options, beam_options)
    start = time.perf_counter()
    out = extract(options, beam_options)
    report(out, time.perf_counter() - start)
    return out


def extract(options, beam_options):
    """Writes the tables, in processes or by Beam."""
    predictor = load_predictor(options.predictor)
    more = {name: getattr(options, name) for name in LIBRARY_OPTIONS}
    corpus = list(options.corpus)
    if beam_options is None:
        return serving.extract_edges(
            predictor,
            corpus,
            options.out,
            num_processes=options.num_processes,
            **more,
        )
    return serving.extract_edges_on_beam(
        predictor, corpus, options.out, beam_options, **more
    )


def report(out, seconds):
    """Prints what is in the tables."""
    import pyarrow.dataset

    edges = pyarrow.dataset.dataset(out / "edges").count_rows()
    words = pyarrow.dataset.dataset(out / "documents").to_table(["num_words"])
    words = words["num_words"].to_numpy().sum()
    print(
        f"{out}: {edges:,} edges of {words:,} words\n"
        f"{seconds:.1f} s, {words / seconds:,.0f} words/s"
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    main(*tyro.cli(Options, return_unknown_args=True))
