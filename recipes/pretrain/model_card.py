r"""Makes a preset for the package of a finished run, with its model card.

    python -m recipes.pretrain.evaluate --run runs/wiki
    python -m recipes.pretrain.ngram_baselines --run runs/wiki
    python -m recipes.pretrain.model_card --run runs/wiki \
        --out glomo_keras/presets/NAME

with the probes of the heads, if there are any in the run folder:

    python -m recipes.graphs.probe --predictor runs/wiki/preset \
        --treebank en_ewt-ud-dev.conllu --gap gap-development.tsv \
        --out runs/wiki

likewise what the graphs are worth to fresh features,

    python -m recipes.graphs.transfer_perplexity --predictor runs/wiki/preset \
        --corpus 'wiki/AA/wiki_0?' --held-out 'imdb/aclImdb/test/*/*.txt' \
        --out runs/wiki/transfer

and for a run on images

    python -m recipes.vision.evaluate --run runs/pixels
    python -m recipes.pretrain.model_card --run runs/pixels --out presets/NAME

Copies the graph predictor of the run (`--whole`: and its feature predictor),
draws learning_curve.png and fills model_card.md, the template next to this
file, with the numbers in the run folder. A preset of more than
`--max-megabytes` is refused; `--half` stores it in float16.
"""

import dataclasses
import json
import pathlib
import shutil
import string
import tempfile

import tabulate
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

import glomo_keras as gk
from glomo_keras import training
from glomo_keras.models import presets
from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files
from recipes.common import read_options
from recipes.graphs import transfer_perplexity
from recipes.pretrain import text as pretrain_text
from recipes.vision import pretrain as pretrain_images

STATISTICS = ("density", "empty_rows", "mean_distance", "mean_entropy")
LEFT_OUT = (
    "corpus",
    "images",
    "out",
    "cache",
    "data_dir",
    "minutes",
    "process_index",
    "coordinator",
)
"""Options that change nothing in the training, or are told elsewhere."""
TEXT_EXAMPLE = """import glomo_keras as gk

predictor = gk.GraphPredictor.from_preset("{name}")
tokenizer = gk.data.WordTokenizer.from_preset("{name}")
graphs = predictor(tokenizer(["The cat sat on the mat."]))
graphs["forward_graphs"]  # (B, layers, heads, T, T)"""
IMAGE_EXAMPLE = """import glomo_keras as gk
import numpy as np

predictor = gk.ImageGraphPredictor.from_preset("{name}")
images = np.zeros((1, {size}, {size}, 3), "uint8")
graphs = predictor({{"images": images}})
graphs["forward_graphs"]  # (B, layers, heads, T, T), T = {size} * {size}"""


@dataclasses.dataclass
class Options:
    """Makes a preset with a model card of a finished run."""

    run: pathlib.Path
    """The run folder, with evaluation.json."""
    out: pathlib.Path
    """The folder of the preset; its name is the model's."""
    note: str = ""
    """Notes for users on the data: licences, origins."""
    whole: bool = False
    """Whether the preset has the feature predictor too."""
    half: bool = False
    """Whether the weights are stored in float16."""
    max_megabytes: float = 20.0
    """Largest preset that is accepted."""


def make_preset(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the README.

    Raises:
        ValueError: If the run or its evaluation is not complete, the n-grams
            are of other events, or the preset is too large.
    """
    found = load(options.run)
    predictor_class, facts = gk.GraphPredictor, text_facts
    if "images" in found["config"]:
        predictor_class, facts = gk.ImageGraphPredictor, image_facts
    predictor = predictor_class.from_preset(
        options.run / "preset", dtype="float32"
    )
    fields = {
        "name": options.out.name,
        "note": options.note,
        "parameters": f"{predictor.count_params():,}",
        "precision": "float16" if options.half else "float32",
        "feature_predictor": "which is in the same preset"
        if options.whole
        else "that is not part of it",
        "num_graph_layers": predictor.num_graph_layers,
        "num_heads": predictor.num_heads,
        **common_facts(found),
        **facts(options, found),
        "probes": found.get("probes", ""),
        "transfer": transfer_section(found),
    }
    template = pathlib.Path(__file__).with_suffix(".md").read_text("utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, options.out.name)
        model = predictor
        if options.whole:
            model = presets.load(options.run / "pretrainer", dtype="float32")
        model.save_to_preset(folder, fields["precision"])
        draw_learning_curve(found, folder / "learning_curve.png")
        (folder / "README.md").write_text(
            string.Template(template).substitute(fields), "utf-8"
        )
        for picture in ("centre.png", "bottom_right.png"):
            if (options.run / "figures" / picture).exists():
                shutil.copy(options.run / "figures" / picture, folder)
        check_size(folder, options.max_megabytes)
        shutil.copytree(folder, options.out, dirs_exist_ok=True)
    print(f"-> {options.out}")
    return options.out / "README.md"


def load(run):
    """Reads the files of a finished run.

    Raises:
        ValueError: If one is missing, the n-grams are of other windows, or
            another predictor was measured.
    """
    found = {}
    for name in ("config", "metrics", "evaluation"):
        path = run / f"{name}.json"
        if not path.is_file():
            raise ValueError(
                "The run is not finished, or not evaluated by "
                "recipes.pretrain.evaluate or recipes.vision.evaluate. "
                f"Received: no {path}"
            )
        found[name] = files.read_json(path)
    found["history"] = training.read_history(run / "history.csv")
    found["timing"] = training.read_history(run / "timing.csv")
    for name, path in (
        ("probes", run / "probes.md"),
        ("transfer", run / "transfer" / "table.md"),
    ):
        if path.is_file():
            found[name] = path.read_text("utf-8")
    check_predictor(run)
    path = run / "ngrams.json"
    if path.is_file():
        found["ngrams"] = files.read_json(path)
        windows = found["evaluation"]["windows"]
        if found["ngrams"]["windows"] != windows:
            raise ValueError(
                "The n-grams and the evaluation are of different windows: run "
                f"both with the same --windows. Received: {windows} and "
                f"{found['ngrams']['windows']}"
            )
    return found


def check_predictor(run):
    """Refuses probes and transfer perplexities of another predictor."""
    own = presets.weights_digest(run / "preset")
    measured = {}
    path = run / "probes.json"
    if path.is_file():
        measured[path] = files.read_json(path).get("weights", own)
    path = run / "transfer" / "runs.csv"
    if path.is_file():
        *_, last = transfer_perplexity.read_rows(path)
        facts = json.loads(last["settings"]).get("data", {})
        measured[path] = facts.get("predictor", own)
    for path, digest in measured.items():
        if digest != own:
            raise ValueError(
                f"{path.name} is of other weights than those of the run: "
                f"measure {run / 'preset'}. Received: {path}, of the "
                f"predictor {digest[:16]}, not {own[:16]}"
            )


def check_size(folder, max_megabytes):
    """Refuses a preset that is too large for the package."""
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    if megabytes > max_megabytes:
        raise ValueError(
            f"The preset is larger than {max_megabytes:g} MB, the most that "
            "goes into the package: give --half, or take a smaller "
            f"vocabulary_size or embedding_dim. Received: {megabytes:.1f} MB"
        )


def table(rows, headers=(), **options):
    """Returns a Markdown table; `options` are of `tabulate`."""
    return tabulate.tabulate(
        rows, headers, "github", floatfmt=".4g", intfmt=",", **options
    )


def common_facts(found):
    """Returns the fields that are the same for text and images."""
    metrics, graphs = found["metrics"], found["evaluation"]["graphs"]
    directions = [d for d in DIRECTIONS if d in graphs]
    hours = [
        sum(row[name] for row in found["timing"]) / 3600
        for name in ("seconds", "cpu_seconds")
    ]
    return {
        "directions": " and ".join(directions),
        "graphs": table(
            [
                [direction, layer + 1, head + 1]
                + [graphs[direction][name][layer][head] for name in STATISTICS]
                for direction in directions
                for layer, heads in enumerate(graphs[direction]["density"])
                for head in range(len(heads))
            ],
            ["direction", "layer", "head"]
            + [name.replace("_", " ") for name in STATISTICS],
        ),
        "training": table(
            [
                ["steps", f"{metrics['steps']:,}"],
                ["epochs", str(metrics["epochs"])],
                ["best epoch, kept", str(metrics["best_epoch"] + 1)],
                ["hours", f"{hours[0]:.2f}"],
                ["CPU hours", f"{hours[1]:.2f}"],
            ],
            ["", ""],
            disable_numparse=True,
        ),
        "options": table(
            [
                [f"`{name}`", str(value)]
                for name, value in found["config"].items()
                if name not in LEFT_OUT
            ],
            ["option", "value"],
        ),
    }


def transfer_section(found):
    """Returns the section on what the graphs are worth to fresh features."""
    if "transfer" not in found:
        return ""
    return (
        "## Transfer\n\nPerplexity, on held-out text, of fresh features that "
        "learned under these frozen graphs and under others;\nratios paired "
        "by seed, with 95 % intervals, by "
        f"`recipes.graphs.transfer_perplexity`.\n\n{found['transfer']}\n"
    )


def text_facts(options, found):
    """Returns the fields of a predictor of words."""
    run = read_options(options.run, pretrain_text.Options)
    evaluation = found["evaluation"]
    rows = [
        [f"this model, distance {n + 1}"]
        + [evaluation["perplexity_by_distance"][d][n] for d in DIRECTIONS]
        for n in range(run.context_length)
    ]
    ngrams = found.get("ngrams", {}).get("perplexity", {"forward": {}})
    for name in ngrams["forward"]:
        row = [name.replace("_", " "), *(ngrams[d][name] for d in DIRECTIONS)]
        rows.append(row)
    windows = evaluation["windows"]
    return {
        "domain": "words",
        "target": f"the {run.context_length} words after and before each word",
        "example": TEXT_EXAMPLE.format(name=options.out.name),
        "measure": "perplexity",
        "held_out": f"Given the words before it (backward: after it) in a "
        f"window of {windows['max_length']} words; the\nnext word (distance 1) "
        f"is predicted {windows['events']:,} times in {windows['count']:,} "
        "windows, the same for all rows.\nN-grams are nltk's, with the same "
        "vocabulary and training text.\n\n" + table(rows, ["", *DIRECTIONS]),
        "graph_items": evaluation["graphs"]["windows"],
        "items": "windows",
        "positions": "words",
        "data": table(
            {
                **evaluation["corpus"],
                "sources": ", ".join(evaluation["corpus"]["sources"]),
            }.items(),
            ["", ""],
        ),
        "limits": f"Windows in training had at most {run.max_length} words: "
        "graphs of longer inputs reach further than\nany it was trained on. "
        "Words outside the vocabulary are all one.",
        "recipe": "recipes.pretrain.text",
        "evaluations": "`recipes.pretrain.evaluate` and "
        "`recipes.pretrain.ngram_baselines`",
    }


def image_facts(options, found):
    """Returns the fields of a predictor of pixels."""
    run = read_options(options.run, pretrain_images.Options)
    evaluation = found["evaluation"]
    rows = [[name, *bits] for name, bits in evaluation["bits_per_dim"].items()]
    wanted = evaluation["settings"]["code_images"]
    coded = min(wanted, evaluation["images"]["held_out"])
    return {
        "domain": "the pixels of small images",
        "target": f"a window of {run.window_size}x{run.window_size} pixels "
        "from each pixel",
        "example": IMAGE_EXAMPLE.format(name=options.out.name, size=run.size),
        "measure": "bits per dimension",
        "held_out": f"Whole images of {run.size}x{run.size} pixels, "
        f"{coded} of them.\n"
        "`recipes.vision.evaluate` defines the rows.\n\n"
        + table(rows, ["", "all", "red", "green", "blue"])
        + "\n\n![Edges into the middle pixel](centre.png)\n\n"
        "![Edges into the last pixel](bottom_right.png)",
        "graph_items": evaluation["graphs"]["images"],
        "items": "images",
        "positions": "pixels",
        "data": table(
            [["sources", ", ".join(run.images)], *evaluation["images"].items()],
            ["", ""],
        ),
        "limits": f"Training saw crops of {run.crop}x{run.crop} pixels: "
        "graphs of larger images reach further. Stacked masked\nconvolutions "
        "have PixelCNN's blind spot, see `ImageGraphPredictor`.",
        "recipe": "recipes.vision.pretrain",
        "evaluations": "`recipes.vision.evaluate`",
    }


def draw_learning_curve(found, path):
    """Draws the perplexities or bits per dimension over the steps."""
    figure = Figure(figsize=(6, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    steps_per_epoch = found["config"]["steps_per_epoch"]
    steps = [(row["epoch"] + 1) * steps_per_epoch for row in found["history"]]
    for name in found["history"][0]:
        if name.endswith(("perplexity", "bits_per_dim")):
            label = name.replace("val_", "held out, ").replace("_", " ")
            axes.plot(steps, [x[name] for x in found["history"]], label=label)
    axes.set(xlabel="steps", yscale="log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(ScalarFormatter())
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    make_preset(tyro.cli(Options))
