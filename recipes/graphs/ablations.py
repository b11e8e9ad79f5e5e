"""Table 2 of the paper, the ablations, measured by perplexity.

    python -m recipes.graphs.ablations --corpus 'wiki/AA/wiki_*' \
--steps 1000 --seeds 3 --out runs/ablations

Each row is pretrained with the same options, text, steps and seeds but for
what it leaves out. Then fresh features learn under its frozen graphs, as
`recipes.graphs.transfer_perplexity` describes, on the text that it was
pretrained on, and are measured on the text that was held out from both.

    row           in Table 2       what is different
    full          GLoMo
    coupled       - decouple       graphs from the features they act on
    not_sparse    - sparse         Eq. 1 without the ReLU
    one_layer     - hierarchical   one layer of graphs
    skip_thought  - unit-level     one vector predicts the other half
    one_word      - sequence       D = 1
    uniform       uniform graph    no pretraining: the same weight for all

The graphs of `coupled` depend on its own embeddings and feature predictor,
which are frozen with it (`CoupledGraphPredictor`); to the fresh features they
are graphs like any others. Under `one_layer` the fresh features have one layer
of graphs too, so fewer weights. The paper samples its uniform graphs; here all
weights of a row are equal. Where `--config` has other `--messages`, `coupled`
has `slices`, the only ones it can have; what `--config` says of convolutions,
rotary keys and the first threshold has no effect on it.

Options are those of `recipes.pretrain.text`, without --epochs,
--steps-per-epoch, --minutes, --start-from and --num-processes, and
`--transfer.*`. `--transfer.uses` is `pretraining mixture` unless given:
`pretraining` applies graphs layer by layer, a slice of the features for each
head, `mixture` as the paper's tasks do.

OUT/ROW/seed-N is the run folder of a pretraining, OUT/runs.csv has a row for
each measurement, OUT/table.csv and table.md the table: the mean over the seeds
and the ratio to `full`, paired by seed, with 95 % intervals of Student's t.
Killed at any moment, the same command goes on; more `--seeds` or `--rows` add
to what is there.
"""

import dataclasses
import json
from typing import Literal

import keras
import tyro

import glomo_keras as gk
from glomo_keras.utils import files
from recipes.common import check_data
from recipes.common import check_each_once
from recipes.common import check_positive
from recipes.common import refuse
from recipes.graphs import fresh_features
from recipes.graphs import transfer_perplexity
from recipes.pretrain import steps
from recipes.pretrain import text as pretrain_text
from recipes.pretrain.evaluate import held_out_windows
from recipes.tasks import compare

CHANGES = {
    "full": {},
    "coupled": {"coupled": True, "messages": "slices"},
    "not_sparse": {"activation": "square"},
    "one_layer": {"num_graph_layers": 1},
    "skip_thought": {"objective": "skip_thought"},
    "one_word": {"context_length": 1},
}
"""Options of pretraining that a row changes."""
ROWS = (*CHANGES, "uniform")
EPOCHS = 4
HARMLESS = (*steps.HARMLESS, "seed", "seeds", "rows", "overwrite")
"""Options that may differ between measurements of one table."""


@dataclasses.dataclass(kw_only=True)
class Options(pretrain_text.Options):
    """Measures the ablations of Table 2. None: the value of `config`."""

    steps: int = 1000
    """Steps of each pretraining, in four epochs."""
    seeds: int = 3
    """How many, from --seed on."""
    rows: tuple[Literal[*ROWS], ...] = ROWS
    """Rows of the table, the first of them `full`."""
    transfer: fresh_features.ProbeOptions = dataclasses.field(
        default_factory=lambda: fresh_features.ProbeOptions(
            uses=("pretraining", "mixture")
        )
    )


def main(options):
    """Runs the recipe; returns the rows of the table."""
    check(options)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = settings_of(options)
    runs = transfer_perplexity.read_runs(options.out / "runs.csv", settings)
    for seed in range(options.seed, options.seed + options.seeds):
        runs += measure(options, seed, runs, settings)
    return report(options, runs)


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(options, "seeds")
    check_each_once(options, "rows")
    fresh_features.check(options.transfer)
    if options.steps < EPOCHS or options.steps % EPOCHS:
        refuse("steps", f"a multiple of {EPOCHS}", options)
    for name in ("epochs", "steps_per_epoch", "minutes"):
        if getattr(options, name) is not None:
            refuse(name, "not given: --steps says how long", options)
    if options.start_from is not None:
        refuse("start_from", "not given: every row starts afresh", options)
    if options.num_processes != 1:
        refuse("num_processes", "1", options)
    if options.rows[:1] != ("full",):
        refuse("rows", "a list that begins with full", options)
    full = pretrain_text.resolve(pretraining(options, "full", 0))
    pretrain_text.check(full)
    for row in options.rows:
        for name, value in CHANGES.get(row, {}).items():
            if name != "messages" and getattr(full, name) == value:
                refuse(name, f"not {value}, which is the row {row}", options)
    fresh_features.check_heads(options.transfer, full.num_heads)


def pretraining(options, row, seed):
    """Returns the options of a row's pretraining."""
    names = [x.name for x in dataclasses.fields(pretrain_text.Options)]
    given = {name: getattr(options, name) for name in names}
    own = {
        "out": options.out / row / f"seed-{seed}",
        "seed": seed,
        "epochs": EPOCHS,
        "steps_per_epoch": options.steps // EPOCHS,
    }
    return pretrain_text.Options(**given | CHANGES[row] | own)


def settings_of(options):
    """Returns, as JSON, what comparable runs share: options, word vectors."""
    values = dataclasses.asdict(options)
    for name in HARMLESS:
        del values[name]
    del values["transfer"]["uses"]
    if options.transfer.vectors is not None:
        values["data"] = {"vectors": files.sha256(options.transfer.vectors)}
    return json.dumps(values, default=str, sort_keys=True)


def measure(options, seed, runs, settings):
    """Pretrains and measures what is missing; returns rows for runs.csv."""
    done = [transfer_perplexity.key(run) for run in runs]
    missing = [
        (row, use)
        for row in options.rows
        for use in options.transfer.uses
        if (use, seed, row) not in done
    ]
    new = []
    text = load(options, seed) if missing else ()
    for row, use in missing:
        keras.utils.clear_session()
        predictor = pretrained(options, row, seed)
        (run,) = fresh_features.measure(
            options.transfer,
            predictor,
            "uniform" if row == "uniform" else "learned",
            use,
            [seed],
            *text,
        )
        run["source"] = row
        transfer_perplexity.write_run(
            options.out / "runs.csv", {**run, "settings": settings}
        )
        print(f"{row}, seed {seed}, {use}: {run['perplexity']:.1f}", flush=True)
        new.append(run)
    return new


def pretrained(options, row, seed):
    """Returns a row's predictor, pretrained now if it is not there.

    Uniform graphs get the sizes and the vocabulary of the full model.
    """
    row = "full" if row == "uniform" else row
    preset = pretrain_text.pretrain(pretraining(options, row, seed))
    keras.config.set_dtype_policy("float32")  # of the fresh features
    if row == "coupled":
        return gk.models.CoupledGraphPredictor.from_preset(preset)
    return gk.GraphPredictor.from_preset(preset)


def load(options, seed):
    """Returns the stream to train on, and windows of the held-out one.

    Raises:
        ValueError: If a row was pretrained on other text. Seeds hold out
            different parts of it, so only the vocabulary is compared between
            seeds.
    """
    corpus = pretrain_text.load(
        pretrain_text.resolve(pretraining(options, "full", seed))
    )
    facts = pretrain_text.describe_text(corpus)
    shared = {"vocabulary": facts["vocabulary"]}
    for path in sorted(options.out.glob("*/seed-*/data.json")):
        same_seed = path.parent.name == f"seed-{seed}"
        check_data(facts if same_seed else shared, path.parent)
    windows = held_out_windows(
        corpus.validation,
        options.transfer.max_length,
        options.transfer.held_out_windows,
    )
    return corpus.train, windows


def report(options, runs):
    """Prints the table and writes it; returns its rows."""
    rows = [
        row_of(runs, row, use)
        for use in options.transfer.uses
        for row in options.rows
    ]
    table = transfer_perplexity.markdown(rows)
    print(table)
    (options.out / "table.md").write_text(table + "\n", encoding="utf-8")
    path = options.out / "table.csv"
    files.write_csv(path, rows)
    print(f"-> {path}")
    return rows


def row_of(runs, row, use):
    """Returns a row of the table: mean, interval, ratio to the full model."""
    own, full = (
        transfer_perplexity.perplexities(runs, use, name)
        for name in (row, "full")
    )
    mean = compare.mean_of_seeds(own)
    several = mean["seeds"] > 1
    return {
        "use": use,
        "row": row,
        "seeds": mean["seeds"],
        "perplexity": mean["mean"],
        "low": mean["low"] if several else "",
        "high": mean["high"] if several else "",
        "/ full": "" if row == "full" else transfer_perplexity.ratio(own, full),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
