"""The speed and memory of the package on this machine.

    make bench                                   # all cases, most of an hour
    python -m benchmarks --cases 'pretrain:*:base:float32' 'transfer:*'
    python -m benchmarks --against ../elsewhere  # next to another checkout

Every case runs in a fresh process, in which a function is called until it is
warm and then timed. A case that fails or takes too long is reported as such,
and the others go on. Prints a table, which is also written to `--out` as CSV,
after each case. Linux only.

`pretrain`: steps of training, of the package and of the same model in stock
Keras layers (`examples`); `extract`: graphs of texts; `transfer`: graphs of a
text and what they do to its features, streaming, materialised and by products
of graphs; `task`: a step of `recipes.tasks.imdb` with and without graphs;
`scale`: preparation of a corpus, extraction of its edges and pretraining, in
processes and (not pretraining) by Apache Beam (the extra `beam`).

`--against` runs the cases given, or else a few of each kind but `scale`, in
this checkout (A) and in another one (B), which must know the same cases, in
turn: A B A B for `--rounds 2`. It prints medians and the ratios A / B.
"""

import dataclasses
import fnmatch
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import tabulate
import tyro

from benchmarks import extraction
from benchmarks import pretraining
from benchmarks import scale
from benchmarks import tasks
from benchmarks import transfer
from glomo_keras.utils import files

SECTIONS = {
    "pretrain": pretraining,
    "extract": extraction,
    "transfer": transfer,
    "task": tasks,
    "scale": scale,
}
ALL = ("*",)
COMPARED = (
    "pretrain:package:small:*",
    "pretrain:package:base:*",
    "extract:factored:200:*",
    "transfer:factored:2048:float32",
    "task:predicted",
)
"""Cases of `--against`, unless others are given."""
ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass
class Options:
    """Times pretraining, extraction of graphs, transfer and a task."""

    cases: tuple[str, ...] = ()
    """Patterns of cases; none given: all, or those of a comparison."""
    against: pathlib.Path | None = None
    """Root of another checkout to compare with."""
    rounds: int = 1
    """How often each case runs in each checkout."""
    calls: int = 3
    """How often a function is timed at least in each process."""
    time_limit: float = 900
    """Seconds after which a process is ended."""
    out: pathlib.Path = pathlib.Path("runs/benchmark.csv")
    case: str | None = None
    """One case, measured in this process and printed as JSON."""


def main(options):
    """Runs the cases; returns the rows of the table."""
    if options.case is not None:
        print(json.dumps(measure(options.case, options.calls)))
        return []
    names = find_cases(options)
    print_machine()
    roots = [ROOT]
    if options.against is not None:
        roots.append(options.against.resolve())
    rows = run_cases(names, roots, options)
    print(tabulate.tabulate(rows, headers="keys", floatfmt=".4g"))
    print(f"-> {options.out}")
    return rows


def run_cases(names, roots, options):
    """Runs each case in the checkouts in turn; returns the rows of the table.

    Args:
        names: of cases.
        roots: list of one path, or of the two to be compared.
        options: `Options`.
    """
    rows = []
    for name in names:
        runs = [[] for _ in roots]
        for _ in range(options.rounds):
            for root, found in zip(roots, runs, strict=True):
                found.append(measure_apart(name, root, options))
        rows.append(make_row(name, *map(median, runs)))
        write(rows, options.out)
        seconds = {k: v for k, v in rows[-1].items() if k.startswith("seconds")}
        print(f"{name}: {seconds or rows[-1]}", file=sys.stderr, flush=True)
    return rows


def all_cases():
    """Returns the arguments of `measure` for the name of each case."""
    return {
        f"{name}:{case}": arguments
        for name, section in SECTIONS.items()
        for case, arguments in section.CASES.items()
    }


def find_cases(options):
    """Returns the names of the cases to run.

    Raises:
        ValueError: a pattern fits none, or the checkout has no benchmark.
    """
    other = options.against
    if other is not None and not (other / "benchmarks").is_dir():
        raise ValueError(
            "--against is the root of a checkout with a package `benchmarks`. "
            f"Received: against={other}"
        )
    names, found = all_cases(), []
    for pattern in options.cases or (ALL if other is None else COMPARED):
        fitting = fnmatch.filter(names, pattern)
        if not fitting:
            raise ValueError(
                f"No case fits. There are {', '.join(names)}. "
                f"Received: cases={pattern!r}"
            )
        found += [name for name in fitting if name not in found]
    return found


def measure(case, calls):
    """Measures a case in this process."""
    cases = all_cases()
    if case not in cases:
        raise ValueError(
            f"`case` must be one of {', '.join(cases)}. Received: case={case!r}"
        )
    section = SECTIONS[case.split(":")[0]]
    return section.measure(**cases[case], calls=calls)


def measure_apart(case, root, options):
    """Measures a case in a process of its own.

    Args:
        case: its name.
        root: path of the checkout whose code runs.
        options: `Options`.

    Returns:
        Dict of what was measured, or of `failed`, the reason in words.
    """
    command = [sys.executable, "-m", "benchmarks", "--case", case]
    try:
        process = subprocess.run(
            [*command, "--calls", str(options.calls)],
            cwd=root,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            timeout=options.time_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {options.time_limit:g} s"}
    if process.returncode:
        print(process.stderr[-2000:], file=sys.stderr, flush=True)
        return {"failed": f"exit status {process.returncode}"}
    return json.loads(process.stdout.splitlines()[-1])


def median(runs):
    """Returns the medians of several runs, or the first failure."""
    for run in runs:
        if "failed" in run:
            return run
    return {k: statistics.median(run[k] for run in runs) for k in runs[0]}


def make_row(case, here, there=None):
    """Returns a row of the table, with ratios where two were compared."""
    if there is None:
        return {"case": case, **here}
    row = {"case": case}
    for name in ("seconds", "cpu_seconds", "peak_megabytes"):
        a, b = (x.get(name, x.get("failed")) for x in (here, there))
        row |= {f"{name} A": a, f"{name} B": b}
        if isinstance(a, int | float) and isinstance(b, int | float):
            row[f"{name} A / B"] = a / b
    return row


def print_machine():
    """Prints the processor and its load."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    names = [x for x in text.splitlines() if x.startswith("model name")]
    print(
        f"{names[0].split(':')[1].strip() if names else platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores, Python "
        f"{platform.python_version()}, load average {os.getloadavg()[0]:.2f}"
    )


def write(rows, path):
    """Writes the rows of the table so far as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_csv(path, rows)


if __name__ == "__main__":
    main(tyro.cli(Options))
