"""Four graphs on sentences of MultiNLI, as in Fig. 3 of the paper.

    python -m recipes.graphs.four_graphs --data-dir multinli_1.0 \\
        --out runs/four_graphs

Nobody chooses by hand. The rule:

1. Sentences: the first 400 different premises of dev matched that have 8 to
   16 words.
2. Heads: those whose edges distance explains by less than half and of whose
   rows fewer than half are empty (`analysis.compare_heads`), in the order of
   their mean largest weight; one a layer and direction, until there are four.
3. For each head the sentence whose three strongest edges (`top_edges`: what
   exceeds the uniform share of the row) between words that are not neighbours
   exceed it most; no sentence twice.
4. Rows without an edge 0.2 above the uniform share are left out, as the paper
   leaves out "irrelevant rows"; if there is no other row, all are drawn.

Writes a.png to d.png, and four_graphs.png with all of them. The predictor was
not trained on MNLI.
"""

import dataclasses
import pathlib

import numpy as np
import tyro
from PIL import Image

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from glomo_keras.utils.graph_arrays import token_text
from recipes.common import check_positive
from recipes.common import refuse

COUNT = 4
RELEVANT = 0.2  # the least excess of an edge for its row to be shown
EDGES = 3  # strongest edges of a sentence, by which it is chosen


@dataclasses.dataclass
class Options:
    """Draws four graphs on sentences of MultiNLI."""

    data_dir: pathlib.Path
    """Folder of MultiNLI's official files."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    sentences: int = 400
    """Premises that are looked at."""
    shortest: int = 8
    """Words of a sentence, at least."""
    longest: int = 16
    """Words of a sentence, at most."""
    out: pathlib.Path = pathlib.Path("runs/four_graphs")
    """Folder of the pictures."""


def main(options):
    """Runs the recipe; returns what was drawn, as a list of dicts."""
    check(options)
    texts = load(options)
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    graphs = predict(predictor, texts)
    mask = texts["padding_mask"]
    heads = choose_heads(analysis.compare_heads(graphs, mask))
    if not heads:
        raise ValueError(
            "No head has graphs that rule 2 takes. "
            f"Received: predictor={options.predictor}"
        )
    drawn = choose_sentences(heads, graphs, texts)
    report(options, drawn)
    return drawn


def check(options):
    """Refuses options out of their range, before any work."""
    check_positive(options, "sentences", "shortest")
    if options.longest < options.shortest:
        refuse("longest", "at least --shortest", options)


def load(options):
    """Returns the tokens of the sentences: a dict of arrays `(B, T)`.

    Raises:
        ValueError: If there are fewer than four sentences of such lengths.
    """
    premises = data.read_mnli(options.data_dir)["matched"].premises
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    tokens = tokenizer(list(dict.fromkeys(premises)))
    tokens = {name: np.asarray(values) for name, values in tokens.items()}
    lengths = tokens["padding_mask"].sum(1)
    fitting = (lengths >= options.shortest) & (lengths <= options.longest)
    chosen = np.flatnonzero(fitting)[: options.sentences]
    if len(chosen) < COUNT:
        raise ValueError(
            f"There must be {COUNT} sentences of {options.shortest} to "
            f"{options.longest} words. Received: {len(chosen)}"
        )
    length = lengths[chosen].max()
    return {name: values[chosen, :length] for name, values in tokens.items()}


def predict(predictor, texts, batch_size=100):
    """Returns the graphs of all sentences, arrays `(B, L, K, T, T)`."""
    parts = [
        predictor.predict_on_batch(
            {
                name: texts[name][first : first + batch_size]
                for name in ("token_ids", "padding_mask")
            }
        )
        for first in range(0, len(texts["token_ids"]), batch_size)
    ]
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


def choose_heads(rows):
    """Returns the rows of `compare_heads` that rule 2 chooses."""
    fitting = [
        row
        for row in rows
        if row["by_distance"] < 0.5 and row["empty_rows"] < 0.5
    ]
    chosen = {}
    for row in sorted(fitting, key=lambda row: -row["peak"]):
        chosen.setdefault((row["direction"], row["layer"]), row)
    return list(chosen.values())[:COUNT]


def choose_sentences(heads, graphs, texts):
    """Returns a sentence to draw for each head: rule 3."""
    lengths = texts["padding_mask"].sum(1)
    drawn, used = [], set()
    for head in heads:
        name = f"{head['direction']}_graphs"
        of_head = graphs[name][:, head["layer"] - 1, head["head"] - 1]
        scored = []
        for index, length in enumerate(lengths):
            tokens = [token_text(x) for x in texts["tokens"][index, :length]]
            graph = of_head[index, :length, :length]
            edges = [
                edge
                for edge in analysis.top_edges(
                    {name: graph[None, None]}, tokens, k=length**2
                )
                if abs(edge.receiver_position - edge.source_position) > 1
            ]
            score = sum(edge.excess for edge in edges[:EDGES])
            scored.append((score, -index, tokens, graph, edges))
        _, index, tokens, graph, edges = max(
            (item for item in scored if item[1] not in used),
            key=lambda item: item[:2],
        )
        used.add(index)
        drawn.append(
            {**head, "tokens": tokens, "graph": graph, "edges": edges[:EDGES]}
        )
    return drawn


def report(options, drawn):
    """Prints the sentences and writes the pictures."""
    options.out.mkdir(parents=True, exist_ok=True)
    paths = []
    for letter, item in zip("abcd", drawn, strict=False):
        title = (
            f"({letter}) {item['direction']}, layer {item['layer']}, "
            f"head {item['head']}"
        )
        print(title, " ".join(item["tokens"]), sep=": ")
        for edge in item["edges"]:
            print(
                f"  {edge.receiver} {edge.receiver_position} <- {edge.source} "
                f"{edge.source_position}: {edge.weight:.2f}"
            )
        paths.append(options.out / f"{letter}.png")
        rows = relevant_rows(item) or range(len(item["tokens"]))
        analysis.plot_graph(
            item["graph"][rows],
            item["tokens"],
            title=title,
            row_tokens=[item["tokens"][row] for row in rows],
            path=paths[-1],
        )
    join(paths, options.out / "four_graphs.png")
    print(f"-> {options.out / 'four_graphs.png'}")


def relevant_rows(item):
    """Returns the rows that rule 4 leaves, a sorted list of positions."""
    name = f"{item['direction']}_graphs"
    edges = analysis.top_edges(
        {name: item["graph"][None, None]},
        item["tokens"],
        k=item["graph"].size,
    )
    return sorted({e.receiver_position for e in edges if e.excess >= RELEVANT})


def join(paths, path):
    """Writes one picture of all, two in a row."""
    images = [Image.open(item).convert("RGB") for item in paths]
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    rows = -(-len(images) // 2)
    whole = Image.new("RGB", (2 * width, rows * height), "white")
    for index, image in enumerate(images):
        whole.paste(image, (index % 2 * width, index // 2 * height))
    whole.save(path)


if __name__ == "__main__":
    main(tyro.cli(Options))
