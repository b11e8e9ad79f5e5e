"""The speed and memory of the package on this machine.

    make bench                                  # about 25 minutes on 2 cores
    python -m benchmarks --quick         # whether it works
    python -m benchmarks --sections ceiling scores
    python -m benchmarks --case pretrain:plain:base:20000:sampled:float32

Every case runs in a fresh process, in which a function is called until it is
warm and then timed, and prints its medians as JSON (`--case`). A case that
runs out of memory or time is reported as such and the others go on. Prints a
table per section, last the quantities that have a target, and writes them to
`--out` as CSV, beside `machine.json` and `cases.json`. Linux only.

Sections: `ceiling`, the machine's fastest matrix product; `pretrain`, steps
of training beside the same model in stock Keras layers (`examples`);
`extraction`, graphs of texts; `scores`, queries and keys to graphs, beside
softmax; `transfer`, streaming, materialised and by products of graphs;
`pipeline`, the input alone; `sentence`, text to graphs, cold and warm; and, if
asked for, `tasks`, a step of `recipes.tasks.imdb` with and without graphs.
"""

import dataclasses
import json
import pathlib
import sys
import time
from typing import Literal

import tyro

from benchmarks import apart
from benchmarks import ceiling
from benchmarks import extraction
from benchmarks import pipeline
from benchmarks import pretraining
from benchmarks import scores
from benchmarks import sentence
from benchmarks import summary
from benchmarks import tables
from benchmarks import tasks
from benchmarks import transfer
from benchmarks.machine import describe_machine
from benchmarks.machine import print_machine

SECTIONS = {
    "ceiling": ceiling,
    "pretrain": pretraining,
    "extraction": extraction,
    "scores": scores,
    "transfer": transfer,
    "pipeline": pipeline,
    "sentence": sentence,
    "tasks": tasks,
}
DEFAULT = tuple(name for name in SECTIONS if name != "tasks")
QUICK = {
    "configs": ("small",),
    "vocabulary_sizes": (20_000,),
    "extraction_lengths": (100,),
    "score_lengths": (512,),
    "transfer_lengths": (512,),
    "calls": 3,
}


@dataclasses.dataclass
class Options:
    """Times pretraining, graph extraction and transfer."""

    sections: tuple[
        Literal[
            "ceiling",
            "pretrain",
            "extraction",
            "scores",
            "transfer",
            "pipeline",
            "sentence",
            "tasks",
        ],
        ...,
    ] = DEFAULT
    """Parts to run."""
    quick: bool = False
    """A few small cases only; their figures mean little."""
    out: pathlib.Path = pathlib.Path("runs/benchmark")
    """Folder of the CSV files."""
    calls: int = 5
    """How often a function is timed at least; a slow one three times."""
    time_limit: float = 900
    """Seconds after which a case is ended."""
    configs: tuple[Literal["small", "base"], ...] = ("small", "base")
    """Sizes of the pretraining."""
    vocabulary_sizes: tuple[int, ...] = (20_000, 100_000)
    """V of the pretraining."""
    positions: tuple[Literal["sampled", "all"], ...] = ("sampled", "all")
    """Decoded positions of the pretraining."""
    precisions: tuple[Literal["float32", "mixed_bfloat16"], ...] = (
        "float32",
        "mixed_bfloat16",
    )
    """Dtype policies."""
    small_batch: int = 32
    """B with sampled positions; half of it with all."""
    base_batch: int = 16
    """B with sampled positions; half of it with all."""
    length: int | None = None
    """T of the pretraining, instead of the configuration's."""
    extraction_lengths: tuple[int, ...] = (100, 200, 400)
    """T of the graph extraction."""
    score_lengths: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    """T of the scores."""
    transfer_lengths: tuple[int, ...] = (128, 512, 1024, 2048, 4096)
    """T of the transfer."""
    task_widths: tuple[int, ...] = (150,)
    """hidden_dim of the task's model."""
    case: str | None = None
    """One measurement in this process, printed as JSON."""


def benchmark(options):
    """Runs the sections, prints and writes their tables.

    Args:
        options: `Options`.

    Returns:
        Dict: for each case what it measured.
    """
    if options.quick:
        options = dataclasses.replace(options, **QUICK)
    start = time.perf_counter()
    machine = describe_machine()
    print_machine(machine)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "machine.json", machine)
    outcomes = {}
    for name in options.sections:
        section = SECTIONS[name]
        for case in section.cases(options):
            outcomes[f"{name}:{case}"] = run_case(f"{name}:{case}", options)
            write_json(options.out / "cases.json", outcomes)
        report(name, section.TITLE, section.rows(outcomes), options.out)
    if "pretrain" in options.sections:
        rows = pretraining.utilisation_rows(outcomes)
        title = pretraining.UTILISATION_TITLE
        report("utilisation", title, rows, options.out)
    targets = summary.rows(outcomes)
    tables.write_table(options.out / "summary.csv", targets)
    measured = [x for x in targets if x["value"] != summary.NOT_MEASURED]
    if measured:
        tables.print_table(summary.TITLE, measured)
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{minutes:.1f} minutes. -> {options.out}")
    return outcomes


def run_case(case, options):
    """Measures a case in a process of its own and prints that it did."""
    start = time.perf_counter()
    outcome = apart.measure_apart(case, arguments(options), options.time_limit)
    seconds = time.perf_counter() - start
    print(f"  {case}  {seconds:.0f} s", file=sys.stderr, flush=True)
    if "failed" in outcome:
        reason = f"  {outcome['failed']}\n{outcome['message']}"
        print(reason, file=sys.stderr, flush=True)
    return outcome


def arguments(options):
    """The options that a case needs, for the command line."""
    given = ["--calls", str(options.calls), "--out", str(options.out)]
    given += ["--small-batch", str(options.small_batch)]
    given += ["--base-batch", str(options.base_batch)]
    if options.length is not None:
        given += ["--length", str(options.length)]
    return given


def report(name, title, rows, folder):
    """Prints a table and writes it."""
    tables.print_table(title, rows)
    tables.write_table(folder / f"{name}.csv", rows)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def measure(options):
    """The case of the options, in this process."""
    section, *fields = options.case.split(":")
    if section not in SECTIONS:
        raise ValueError(
            f"A case begins with one of {tuple(SECTIONS)}. "
            f"Received: case={options.case!r}"
        )
    return SECTIONS[section].measure(fields, options)


def main(options):
    if options.case is None:
        benchmark(options)
        return
    apart.limit_memory()
    print(json.dumps(measure(options)))


if __name__ == "__main__":
    main(tyro.cli(Options))
