"""Makes a preset for the package of a finished run on images, with its card.

    python -m recipes.vision.model_card --run runs/pixels \\
        --out glomo_keras/presets/glomo_pixels_small

Measures bits per dimension of whole held-out images, those of the model and
of two baselines (see `recipes.vision.pixel_code`), and how the graphs look; draws the
learning curve and the edges into two pixels of a held-out image; and writes
them beside the predictor's weights in float32. Every number of the card is
measured here or comes from the files of the run, and the card names the
commands. A preset of more than `--max-megabytes` is refused.
"""

import dataclasses
import json
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import tyro
from matplotlib.figure import Figure

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import training
from recipes.pretrain import model_card
from recipes.pretrain.model_card_text import table
from recipes.vision import pixel_code
from recipes.vision import pretrain as pretrain_images

ROWS = {
    "forward": "this model (with its feature predictor), forward",
    "backward": "this model (with its feature predictor), backward",
    "copy_left": "copy the left pixel, errors fitted",
    "histogram": "histogram of each channel",
}


@dataclasses.dataclass
class Options:
    """Makes a preset with a model card of a finished run on images."""

    run: pathlib.Path
    """The run folder of recipes.vision.pretrain."""
    out: pathlib.Path
    """The folder of the preset; its name is the model's."""
    code_images: int = 128
    """Held-out images whose bits per dimension are measured."""
    graph_images: int = 8
    """Held-out images whose graphs are described."""
    image_note: str = ""
    """What a user should know of these images, for the card."""
    max_megabytes: float = 10.0


def make_preset(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        `pathlib.Path`, the README.

    Raises:
        ValueError: if the run is not complete, or the preset too large.
    """
    run = read_options(options.run)
    images = pretrain_images.load(run)
    pretrainer = gk.PixelPretrainer.from_preset(
        options.run / "pretrainer", dtype="float32"
    )
    held_out = np.asarray(images["validation"])
    facts = {
        "name": options.out.name,
        "run": run,
        "options": options,
        "metrics": model_card.read(
            options.run / "metrics.json", "pretrain_images"
        ),
        "history": training.read_history(options.run / "history.csv"),
        "timing": training.read_history(options.run / "timing.csv"),
        "code": measure_code(
            pretrainer, images["train"], held_out[: options.code_images]
        ),
        "graphs": describe_graphs(
            pretrainer.graph_predictor, held_out[: options.graph_images]
        ),
        "parameters": pretrainer.graph_predictor.count_params(),
        "train_images": len(images["train"]),
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder, options.out.name)
        pretrainer.graph_predictor.save_to_preset(folder)
        draw_learning_curve(facts, folder / "learning_curve.png")
        draw_edges(pretrainer.graph_predictor, held_out[0], folder)
        (folder / "README.md").write_text(card(facts), "utf-8")
        model_card.check_size(folder, options.max_megabytes)
        shutil.copytree(folder, options.out, dirs_exist_ok=True)
    print((options.out / "README.md").read_text("utf-8"))
    print(f"-> {options.out}")
    return options.out / "README.md"


def read_options(run):
    """The options of a finished run, resolved."""
    missing = [
        name
        for name in ("config.json", "metrics.json", "pretrainer", "preset")
        if not (run / name).exists()
    ]
    if missing:
        raise ValueError(
            "Not the folder of a finished run of recipes.vision.pretrain: "
            f"{', '.join(missing)} missing. Received: run={run}"
        )
    config = json.loads((run / "config.json").read_text("utf-8"))
    config |= {
        "images": tuple(config["images"]),
        "out": pathlib.Path(config["out"]),
        "cache": pathlib.Path(config["cache"]),
    }
    return pretrain_images.Options(**config)


def measure_code(pretrainer, train, images):
    """Bits per dimension of whole images, by row of the table.

    Returns:
        Dict of row name to a list: all channels, then red, green and blue.
    """
    bits = pixel_code.baseline_bits(np.asarray(train), images)
    bits |= pixel_code.model_bits(pretrainer, train, images)
    return {
        name: [float(values.mean()), *values.mean((0, 1, 2)).tolist()]
        for name, values in bits.items()
    }


def describe_graphs(predictor, images):
    """Statistics `(L, K)` of each direction, distances in pixels."""
    size = images.shape[1]
    place = np.stack(np.divmod(np.arange(size * size), size), axis=1)
    distance = np.linalg.norm(place[:, None] - place, axis=-1)  # (T, T)
    described = {}
    for direction in predictor.directions:
        one_by_one = []
        for image in images:
            graphs = keras.ops.convert_to_numpy(
                predictor({"images": image[None]})[f"{direction}_graphs"]
            )
            numbers = analysis.graph_statistics(graphs, direction=direction)
            total = (graphs[0] * distance).sum((-1, -2))
            edges = np.maximum(graphs[0].sum((-1, -2)), 1e-9)
            numbers["mean_distance"] = total / edges
            one_by_one.append(numbers)
        described[direction] = {
            name: np.mean([n[name] for n in one_by_one], axis=0)
            for name in one_by_one[0]
        }
    return described


def draw_learning_curve(facts, path):
    """Bits per dimension over the steps as PNG."""
    figure = Figure(figsize=(6, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    steps = [
        (row["epoch"] + 1) * facts["run"].steps_per_epoch
        for row in facts["history"]
    ]
    for name, label in (("", "training"), ("val_", "held out")):
        values = [row[f"{name}bits_per_dim"] for row in facts["history"]]
        axes.plot(steps, values, label=label)
    axes.set(xlabel="steps", ylabel="bits per dimension of windows")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, pil_kwargs={"optimize": True})


def draw_edges(predictor, image, folder):
    """The edges into the middle and the last pixel of a held-out image."""
    direction = predictor.directions[0]
    graphs = predictor({"images": image[None]})[f"{direction}_graphs"]
    graphs = keras.ops.convert_to_numpy(graphs)[0]
    size = len(image)
    for name, pixel in (
        ("centre", (size // 2, size // 2)),
        ("bottom_right", (size - 1, size - 1)),
    ):
        analysis.plot_pixel_maps(
            graphs,
            image,
            pixel,
            title=f"A held-out image: edges into pixel {pixel}",
            path=folder / f"{name}.png",
        )


# === The card ===


def card(facts):
    run, metrics = facts["run"], facts["metrics"]
    size, crop = run.size, run.crop
    directions = "both directions" if run.bidirectional else "one direction"
    return f"""# {facts["name"]}

A GLoMo graph predictor (Yang et al., NeurIPS 2018, Sec. 3.5) for the pixels of
small images: {run.num_graph_layers} graph layers of {run.num_heads} heads in \
{directions}, {facts["parameters"]:,}
parameters, float32. It was trained, together with a feature predictor that is
not part of it, to predict a window of {run.window_size}x{run.window_size} \
pixels from each pixel (anchor "{run.anchor}").
Written by `python -m recipes.vision.model_card`; the commands behind the
numbers are at the end.

## Use

```python
import numpy as np
import glomo_keras as gk

predictor = gk.ImageGraphPredictor.from_preset("{facts["name"]}")
images = np.zeros((1, {size}, {size}, 3), "uint8")
graphs = predictor({{"images": images}})["forward_graphs"]
# (1, {run.num_graph_layers}, {run.num_heads}, {size**2}, {size**2})
```

{code_section(facts)}

{graph_section(facts)}

![Edges into the middle pixel](centre.png)

![Edges into the last pixel](bottom_right.png)

## Images

|  |  |
| --- | --- |
| sources | {", ".join(f"`{source}`" for source in run.images)} |
| images for training | {facts["train_images"]:,} |
| images held out | {run.validation_images:,} |
| scaled to | {size}x{size} pixels, middle square |
| trained on | random crops of {crop}x{crop} pixels, not mirrored |

{facts["options"].image_note}

## Training

{training_section(facts, metrics)}

## Intended use and limits

Meant for transfer: frozen, its graphs or what they bring
(`glomo_keras.layers.GraphMessages`) weigh the pixels of a task on natural
images of up to {size}x{size} pixels. Whether they help a task is to be
measured on that task, beside uniform graphs; this card measures the
pretraining alone. An edge is not an explanation.

{limits(run)} Stacked masked convolutions have
PixelCNN's blind spot: the docstring of `ImageGraphPredictor` says where. The
first pixel has no edge. The images are what they are: their subjects, origins
and biases are in the graphs, and they may show persons.

## Commands

```bash
{commands(facts)}
```
"""


def limits(run):
    if run.crop == run.size:
        return ""
    return (
        f"Graphs of whole images reach further than any of the crops of "
        f"{run.crop}x{run.crop}\npixels that it was trained on."
    )


def code_section(facts):
    code, run = facts["code"], facts["run"]
    size, count = run.size, facts["options"].code_images
    rows = [
        [label, *(f"{value:.3f}" for value in code[name])]
        for name, label in ROWS.items()
        if name in code
    ]
    header = ["", "bits per dimension", "red", "green", "blue"]
    return f"""## Held-out bits per dimension

Whole held-out images of {size}x{size} pixels, {count:,} of them:
{count * size * size * 3:,} values, the same for all rows, each given what
comes before it (for the model also the earlier channels of its pixel, order
"{run.channel_order}"). The baselines are fitted to the training images;
`recipes.vision.pixel_code` says how.

{table(header, rows)}"""


def graph_section(facts):
    columns = {
        "density": "edge density",
        "empty_rows": "empty rows",
        "mean_distance": "mean distance (pixels)",
        "mean_entropy": "mean entropy (nats)",
    }
    rows = [
        [direction, str(layer + 1), str(head + 1)]
        + [f"{numbers[name][layer, head]:.3f}" for name in columns]
        for direction, numbers in facts["graphs"].items()
        for layer in range(facts["run"].num_graph_layers)
        for head in range(facts["run"].num_heads)
    ]
    header = ["direction", "layer", "head", *columns.values()]
    return f"""## Graphs

Of {facts["options"].graph_images} held-out images. Density is the share of \
the admissible edges that are
not zero, empty rows the share of the pixels that could have an edge and have
none, the distance is weighted by the edge.

{table(header, rows)}"""


def training_section(facts, metrics):
    run = facts["run"]
    timing = facts["timing"]
    wall = sum(row["seconds"] for row in timing) / 60
    cpu = sum(row["cpu_seconds"] for row in timing) / 60
    rows = [
        ["steps", f"{metrics['steps']:,}"],
        [
            "best epoch, kept",
            f"{metrics['best_epoch'] + 1} of {metrics['epochs']}",
        ],
        ["time", f"{wall:.1f} minutes, {cpu:.1f} CPU minutes"],
        [
            "bits per dimension of windows, held-out crops",
            f"{metrics['val_bits_per_dim']:.3f}",
        ],
    ]
    skipped = ("images", "out", "cache", "overwrite", "data_dir", "limit")
    settings = [
        [f"`{field.name}`", str(getattr(run, field.name))]
        for field in dataclasses.fields(run)
        if field.name not in skipped
    ]
    return "\n\n".join(
        [
            table(["", ""], rows),
            "![Bits per dimension over steps](learning_curve.png)",
            table(["option", "value"], settings),
        ]
    )


def commands(facts):
    run = facts["run"]
    defaults = pretrain_images.resolve(
        pretrain_images.Options(
            run.images, run.out, config=run.config, size=run.size
        )
    )
    return "\n".join(
        [
            model_card.command_line("pretrain_images", run, defaults),
            model_card.command_line("pixel_model_card", facts["options"], None),
        ]
    )


if __name__ == "__main__":
    make_preset(tyro.cli(Options))
