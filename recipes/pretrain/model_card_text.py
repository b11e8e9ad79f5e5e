"""The text and the picture of a model card, from the facts of a run."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from recipes.pretrain import text as pretrain_text

DIRECTIONS = ("forward", "backward")
LICENCES = {
    "wiki": "Wikipedia: text under CC BY-SA",
    "imdb": "IMDB reviews (Maas et al. 2011): for research use",
}
GRAPH_COLUMNS = {
    "density": "edge density",
    "empty_rows": "empty rows",
    "mean_distance": "mean edge distance",
    "mean_entropy": "mean entropy (nats)",
}
CURVE_POINTS = 10


@dataclasses.dataclass
class Facts:
    """What the card is made of."""

    name: str
    run_options: pretrain_text.Options
    metrics: dict
    history: list
    timing: list
    evaluation: dict
    ngrams: dict
    parameters: int
    corpus_note: str
    commands: dict


def card(facts):
    """The text of the card, Markdown."""
    sections = (
        introduction,
        use,
        held_out,
        graphs,
        corpus,
        training_section,
        learning_curve,
        intended_use,
        all_commands,
    )
    return "\n\n".join(section(facts) for section in sections) + "\n"


def introduction(facts):
    run = facts.run_options
    return (
        f"# {facts.name}\n\n"
        "A GLoMo graph predictor (Yang et al., NeurIPS 2018) for English "
        f"words: {run.num_graph_layers} graph layers of {run.num_heads} heads "
        f"in each of two directions, {facts.parameters:,} parameters, "
        f"float32. It was trained, together with a feature predictor that is "
        f"not part of it, to predict the {run.context_length} words after and "
        "before each word. Written by `python -m recipes.pretrain.model_card`; the "
        "commands behind the numbers are at the end."
    )


def use(facts):
    return f"""## Use

```python
import glomo_keras as gk
from glomo_keras import data

predictor = gk.GraphPredictor.from_preset("{facts.name}")
tokenizer = data.WordTokenizer.from_preset("{facts.name}")
batch = tokenizer(["The cat sat on the mat."])
inputs = {{name: batch[name] for name in ("token_ids", "padding_mask")}}
graphs = predictor(inputs)["forward_graphs"]  # (B, layers, heads, T, T)
```"""


def held_out(facts):
    windows = facts.evaluation["windows"]
    ours = facts.evaluation["next_word_perplexity"]
    best = facts.ngrams["best"]
    rows = [["this model (with its feature predictor)", *_two(ours)]]
    for order in ("trigram", "bigram", "unigram"):
        name = ngram_name(order, {best[d][order]["model"] for d in best})
        rows.append(
            [name, *_two({d: best[d][order]["perplexity"] for d in DIRECTIONS})]
        )
    ratios = {d: ours[d] / best[d]["bigram"]["perplexity"] for d in DIRECTIONS}
    perplexities = facts.ngrams["perplexity"]
    every = [
        [
            name.replace("_", " "),
            *_two({d: perplexities[d][name] for d in ours}),
        ]
        for name in perplexities["forward"]
    ]
    distances = facts.evaluation["perplexity_by_distance"]
    by_distance = [
        [str(index + 1), *_two({d: distances[d][index] for d in DIRECTIONS})]
        for index in range(len(distances["forward"]))
    ]
    return f"""## Held-out perplexity

The next word of held-out text (backward: the word before), given the words
before it (after it) in a window of {windows["max_length"]} words:
{windows["events"]:,} events in {windows["count"]:,} windows,
{windows["words"]:,} words, the same for all rows. The n-grams are nltk's, have
the same vocabulary, `<unk>` included, and the same training text; the best of
the interpolated ones that were tried stands here.

{table(["", *DIRECTIONS], rows)}

The model's perplexity is {_percent(ratios["forward"])} the bigram's forward,
{_percent(ratios["backward"])} backward. It also predicts words further away,
those in between being given to its decoder:

{table(["distance", *DIRECTIONS], by_distance)}

All n-grams (discount {facts.ngrams["settings"]["discount"]}):

{table(["", *DIRECTIONS], every)}"""


def ngram_name(order, models):
    kinds = sorted(model.replace("_", " ") for model in models - {order})
    return ", ".join([order, *kinds])


def graphs(facts):
    described = facts.evaluation["graphs"]
    rows = [
        [direction, str(layer + 1), str(head + 1)]
        + [
            f"{described[direction][name][layer][head]:.3f}"
            for name in GRAPH_COLUMNS
        ]
        for direction in DIRECTIONS
        for layer in range(len(described[direction]["density"]))
        for head in range(len(described[direction]["density"][layer]))
    ]
    columns = ["direction", "layer", "head", *GRAPH_COLUMNS.values()]
    return f"""## Graphs

Of {described["windows"]} held-out windows, spread evenly. Density is the share
of the admissible edges that are not zero, empty rows the share of the words
that could have an edge and have none, the distance is in words and weighted by
the edge.

{table(columns, rows)}"""


def corpus(facts):
    numbers = facts.evaluation["corpus"]
    run = facts.run_options
    rows = [
        ["sources", ", ".join(f"`{source}`" for source in numbers["spec"])],
        ["files", f"{numbers['sources']:,}"],
        ["words for training", f"{numbers['train_words']:,}"],
        ["texts for training", f"{numbers['train_texts']:,}"],
        ["words held out", f"{numbers['held_out_words']:,}"],
        ["texts held out", f"{numbers['held_out_texts']:,}"],
        ["vocabulary", f"{numbers['vocabulary_size']:,}"],
        ["words outside it", f"{numbers['unknown_rate']:.2%}"],
        ["lower case", "yes" if run.lowercase else "no"],
        ["tokens with a digit", "become N" if run.numbers == "N" else "kept"],
    ]
    text = f"## Corpus\n\n{table(['', ''], rows)}\n\n"
    text += f"Licences: {licences(numbers['spec'])}. {facts.corpus_note}"
    return text.rstrip()


def licences(sources):
    """What is known of the licences of these sources, by their names."""
    notes = [
        note
        for part, note in LICENCES.items()
        if any(part in source for source in sources)
    ]
    return "; ".join(notes) or "not recorded"


def training_section(facts):
    left_out = ("corpus", "out", "cache", "data_dir", "overwrite")
    rows = [
        [f"`{name}`", str(value)]
        for name, value in dataclasses.asdict(facts.run_options).items()
        if name not in left_out
    ]
    numbers = [["steps", f"{facts.metrics['steps']:,}"]]
    numbers += [["epochs", str(facts.metrics["epochs"])]]
    numbers += [["best epoch, kept", str(facts.metrics["best_epoch"] + 1)]]
    numbers += [["wall time", wall_time(facts.timing)]]
    return f"""## Training

{table(["", ""], numbers)}

{table(["option", "value"], rows)}"""


def wall_time(timing):
    """Hours of all epochs, by the clock and of the processor."""
    hours = [
        sum(row[name] for row in timing) / 3600
        for name in ("seconds", "cpu_seconds")
    ]
    return f"{hours[0]:.2f} hours, {hours[1]:.2f} CPU hours"


def learning_curve(facts):
    history, run = facts.history, facts.run_options
    chosen = np.linspace(0, len(history) - 1, min(CURVE_POINTS, len(history)))
    chosen = {*chosen.round().astype(int).tolist(), facts.metrics["best_epoch"]}
    rows = [
        [f"{int(history[i]['epoch'] + 1) * run.steps_per_epoch:,}"]
        + [
            f"{history[i][f'{part}{d}_perplexity']:.1f}"
            for part in ("", "val_")
            for d in DIRECTIONS
        ]
        for i in sorted(chosen)
    ]
    candidates = dataclasses.asdict(run).get("num_candidates")
    estimate = ""
    if candidates:
        estimate = (
            " In training the softmax is estimated from "
            f"{candidates:,} words at a time, and the perplexity with it."
        )
    columns = ["steps"] + [
        f"{part}, {d}" for part in ("training", "held out") for d in DIRECTIONS
    ]
    part = "all windows"
    if run.validation_steps:
        windows = run.validation_steps * run.batch_size
        part = f"at most the first {windows:,} windows"
    return f"""## Learning curve

![Perplexity over steps](learning_curve.png)

Perplexity as training showed it: the mean over distances 1 to
{run.context_length}, held out on {part}. It is not the one of the next-word
task above.{estimate}

{table(columns, rows)}"""


def intended_use(facts):
    longest = facts.run_options.max_length
    return f"""## Intended use and limits

Meant for transfer: frozen, its graphs or their mixtures weigh the features of
a task in English (`glomo_keras.layers.GraphTransfer`). Whether they help a
task is to be measured on that task, beside uniform graphs; this card measures
the pretraining alone. The graphs are not parses, and an edge is not an
explanation.

Windows in training had at most {longest} words, so graphs of longer inputs
reach further than any it was trained on. The first word of a forward graph and
the last of a backward graph have no edge. Words outside the vocabulary are all
one. The corpus is what it is: its topics, style, errors and biases are in the
graphs. It holds text of named persons and was not filtered."""


def all_commands(facts):
    lines = "\n".join(facts.commands.values())
    return f"## Commands\n\n```bash\n{lines}\n```"


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _two(perplexities):
    return [f"{perplexities[direction]:.1f}" for direction in DIRECTIONS]


def _percent(ratio):
    side = "below" if ratio < 1 else "above"
    return f"{100 * abs(1 - ratio):.1f} % {side}"


def draw_learning_curve(facts, path):
    """Perplexities over the steps as PNG."""
    figure = Figure(figsize=(6, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    steps = [
        (row["epoch"] + 1) * facts.run_options.steps_per_epoch
        for row in facts.history
    ]
    for colour, direction in zip(("C0", "C1"), DIRECTIONS, strict=True):
        for prefix, style, name in (
            ("", ":", "training"),
            ("val_", "-", "held out"),
        ):
            values = [
                row[f"{prefix}{direction}_perplexity"] for row in facts.history
            ]
            axes.plot(
                steps, values, colour + style, label=f"{name}, {direction}"
            )
    axes.set(xlabel="steps", ylabel="perplexity", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, pil_kwargs={"optimize": True})
