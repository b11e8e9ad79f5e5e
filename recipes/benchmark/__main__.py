"""The benchmark, one case after the other.

python -m recipes.benchmark --case pretrain:plain:base:20000:sampled:float32
"""

import dataclasses
import json

import tyro

from recipes.benchmark import pretraining

SECTIONS = {"pretrain": pretraining}


@dataclasses.dataclass
class Options:
    """Times pretraining, graph extraction and transfer."""

    calls: int = 5
    """How often each function is timed at least."""
    case: str | None = None
    """One measurement in this process, printed as JSON."""


def main(options):
    if options.case is not None:
        section, *fields = options.case.split(":")
        print(json.dumps(SECTIONS[section].measure(fields, options)))


if __name__ == "__main__":
    main(tyro.cli(Options))
