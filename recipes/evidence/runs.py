"""Run folders of tasks: what was trained, on how much, with what result."""

import dataclasses
import importlib
import itertools
import json
import pathlib

from recipes.seeds import HARMLESS
from recipes.tasks import compare
from recipes.tasks.features import FILES
from recipes.tasks.options import MIXTURE_ONLY
from recipes.tasks.options import PREDICTED
from recipes.tasks.options import GraphOptions

CONTROLS = ("none", "matched", "uniform", "random")
"""Modes without learned structure; a gain must be over the best of them."""
MODE_OPTIONS = (
    "graph",
    "matched",
    "placement",
    "features",
    *FILES["pretrained"],
)
SIZE_OPTIONS = (
    "limit",
    "train_examples",
    "train_sentences",
    "epochs",
    "steps_per_epoch",
)
"""Options that may differ between the sizes of a line."""
OF_GRAPHS = {
    *(field.name for field in dataclasses.fields(GraphOptions)),
    *("include_products", "units"),  # of recipes.vision.cifar10
}
"""Options without effect on a model that has no graphs."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Says how to compare the runs of a recipe.

    Attributes:
        title: str.
        size: name of the number of labelled examples, in the options or the
            metrics of a run.
        unit: str, what is counted.
        metrics: dict of the name of a metric to its factor, 100 for per cent.
    """

    title: str
    size: str
    unit: str
    metrics: dict


TASKS = {
    "recipes.tasks.imdb": Task(
        "IMDB: sentiment", "train_examples", "reviews", {"test_accuracy": 100}
    ),
    "recipes.tasks.mnli": Task(
        "MNLI: inference",
        "train_examples",
        "pairs",
        {"matched_accuracy": 100, "mismatched_accuracy": 100},
    ),
    "recipes.tasks.squad": Task(
        "SQuAD: questions",
        "train_questions",
        "questions",
        {"dev_exact_match": 1, "dev_f1": 1},
    ),
    "recipes.tasks.pos_tags": Task(
        "Parts of speech",
        "train_sentences",
        "sentences",
        {"test_accuracy": 100},
    ),
    "recipes.vision.cifar10": Task(
        "CIFAR-10: images", "train_images", "images", {"test_accuracy": 100}
    ),
}


@dataclasses.dataclass
class Line:
    """The runs of one mode with the same options, a point for each size.

    Attributes:
        mode: str, such as `"predicted"` or `"none, glove+pretrained"`.
        options: dict of the options that matter, without seed and size.
        weights: dict of the checksums of the presets that the runs read;
            None before the first finished run.
        results: dict of size to a dict of seed to a dict of metrics.
        sized: dict of size to those of `SIZE_OPTIONS` that its runs had.
        data: dict of size to a list of dicts, checksums of the data of each
            run.
        faults: list of sentences on runs that were left out.
        label: str, the mode and how it differs from other lines of the mode.
    """

    mode: str
    options: dict
    weights: dict | None = None
    results: dict = dataclasses.field(default_factory=dict)
    sized: dict = dataclasses.field(default_factory=dict)
    data: dict = dataclasses.field(default_factory=dict)
    faults: list = dataclasses.field(default_factory=list)
    label: str = ""

    @property
    def is_control(self):
        """Whether other modes must do better than this one."""
        return self.source in CONTROLS and "pretrained" not in self.mode

    @property
    def source(self):
        """Where the graphs come from: the first word of the mode."""
        return self.mode.replace(",", " ").split()[0]

    @property
    def features(self):
        """The features, apart from those of the pretrainer."""
        kinds = self.options.get("features", "glove").split("+")
        return "+".join(x for x in kinds if x != "pretrained") or "glove"

    def values(self, size, metric, scale=1.0):
        """Returns a dict of seed to a metric, for one size."""
        rows = self.results.get(size, {})
        return {seed: scale * row[metric] for seed, row in rows.items()}

    def add(self, size, metrics, facts, folder):
        """Adds a finished run."""
        rows = self.results.setdefault(size, {})
        seed = metrics["seed"]
        if rows.setdefault(seed, metrics) != metrics:
            self.faults.append(
                f"{self.mode}, seed {seed}, was trained twice with the same "
                f"options but different results; `{folder}` is left out."
            )
        else:
            self.data.setdefault(size, []).append(facts)


def lines_of(records):
    """Groups the runs of tasks.

    Args:
        records: list of dict, see `records.read`.

    Returns:
        Dict of `(recipe, rnn)` to a list of `Line`, controls first, in the
        order of `TASKS`. Models without RNNs are compared only with one
        another.
    """
    lines = {}
    for record in records:
        if "config" in record:
            recipe = record["config"]["recipe"]
            key = recipe, record["config"].get("rnn", True)
            add_run(lines.setdefault(key, {}), recipe, **record)
    keys = itertools.product(TASKS, (True, False))
    found = {key: in_order(lines[key]) for key in keys if key in lines}
    for of_task in found.values():
        name_lines(of_task)
    return found


def defaults(recipe):
    """Returns the options of a recipe's runs and their defaults, as in JSON.

    An option without a default has the value `...`.
    """
    options = importlib.import_module(recipe).Options
    values = {}
    for field in dataclasses.fields(options):
        value = field.default
        if value is dataclasses.MISSING:
            value = ...
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, pathlib.PurePath):
            value = str(value)
        if field.name not in HARMLESS:
            values[field.name] = value
    return values


def controls(recipe):
    """Returns the controls that a recipe has."""
    return [x for x in CONTROLS if x != "matched" or x in defaults(recipe)]


def add_run(lines, recipe, name, config, data, metrics):
    """Adds a run to the lines of its recipe."""
    # An option that an older run lacks has its default.
    usual = {x: y for x, y in defaults(recipe).items() if y is not ...}
    options = relevant({**usual, **config})
    key = json.dumps(options, sort_keys=True)
    line = lines.setdefault(key, Line(mode_of(config), options))
    if not metrics:
        line.faults.append(f"`{name}` ({line.mode}) is not finished.")
        return
    task = TASKS[recipe]
    size = {**config, **metrics}.get(task.size)
    missing = [each for each in task.metrics if each not in metrics]
    if missing or size is None:
        line.faults.append(
            f"`{name}` lacks the numbers {missing or [task.size]}."
        )
        return
    weights = {x: data.get(x) for x in ("predictor", "pretrainer")}
    if line.weights is None:
        line.weights = weights
    if line.weights != weights:
        line.faults.append(
            f"`{name}` ({line.mode}) had a preset of the same name but other "
            "weights than the runs before it, and is left out."
        )
        return
    usual.pop(task.size, None)
    sized = {
        x: config[x]
        for x in SIZE_OPTIONS
        if config.get(x) is not None and config[x] != usual.get(x)
    }
    if line.sized.setdefault(size, sized) != sized:
        line.faults.append(
            f"`{name}` ({line.mode}) has other options than the runs of the "
            f"same size before it, {sized}, and is left out."
        )
        return
    line.add(size, metrics, data, name)


def relevant(config):
    """Returns the options that have an effect, without seed and size."""
    unused = {"recipe", "seed", "cache", *SIZE_OPTIONS}
    if config["graph"] == "none":
        unused |= OF_GRAPHS - {"graph"}
    if config["graph"] == "uniform" and config.get("transfer") != "heads":
        unused |= {"predictor", "graph_layers"}
    if config["graph"] not in PREDICTED:
        unused.add("predictor_precision")
    if config.get("transfer") == "heads":
        unused.update(MIXTURE_ONLY)
    kinds = config.get("features", "").split("+")
    for kind, names in FILES.items():
        if kind not in kinds:
            unused.update(names)
    return {name: x for name, x in config.items() if name not in unused}


def mode_of(config):
    """Returns the name of a run's mode."""
    mode = "matched" if config.get("matched") else config["graph"]
    if config.get("placement") == "states" and config["graph"] != "none":
        mode += " on states"
    if config.get("features", "glove") != "glove":
        mode += f", {config['features']}"
    return mode


def in_order(lines):
    """Returns the lines sorted by mode, the controls first."""

    def rank(line):
        number = len(CONTROLS)
        if line.is_control:
            number = CONTROLS.index(line.source)
        return number, line.mode, json.dumps(line.options, sort_keys=True)

    return sorted(lines.values(), key=rank)


def name_lines(lines):
    """Sets the label of each line."""
    for line in lines:
        # The options of unfinished runs tell nothing of the table apart.
        same = [
            other
            for other in lines
            if other.mode == line.mode and (other.results or not line.results)
        ]
        names = compare.differing([x.options for x in same])
        told = [
            f"{name} {line.options[name]}"
            for name in names
            if line.options.get(name) is not None
        ]
        line.label = f"{line.mode} ({', '.join(told)})" if told else line.mode
