"""Makes an interactive page of the graphs of a text, two texts or an image.

    python -m recipes.graphs.view --text "The cat sat on the mat because it \
was tired." --predictor glomo_small_en --out runs/graphs/page.html
    python -m recipes.graphs.view --text "A man plays a guitar." \
--second-text "A musician performs." --names premise hypothesis
    python -m recipes.graphs.view --image photo.jpg \
--predictor glomo_pixels_small

Writes one HTML file that any browser opens and that loads nothing from
elsewhere, see docs/view_graphs.md. The words on the page are those of the
text; the title names those that the vocabulary lacks, up to 10.
"""

import dataclasses
import pathlib

import numpy as np
import tyro

import glomo_keras as gk
from glomo_keras import analysis
from glomo_keras import data
from recipes.common import check_positive
from recipes.common import read_image
from recipes.common import refuse


@dataclasses.dataclass
class Options:
    """Makes an interactive page of graphs."""

    text: str | None = None
    """The text; or else `image`."""
    second_text: str | None = None
    """A second text with graphs of its own, such as a hypothesis."""
    names: tuple[str, str] = ("premise", "hypothesis")
    """Names of the two texts, if there are two."""
    image: pathlib.Path | None = None
    """An image file, for a preset of pixels."""
    size: int = 32
    """Pixels a side to which the image is scaled."""
    predictor: str = "glomo_small_en"
    """Name of a preset of the package, or a preset folder."""
    out: pathlib.Path = pathlib.Path("runs/graphs/page.html")
    """The page."""


def main(options):
    """Runs the recipe."""
    check(options)
    page = (view_texts if options.image is None else view_image)(options)
    page.save(options.out)
    print(f"-> {options.out}")


def check(options):
    """Refuses options that fit no page, before any work."""
    if (options.text is None) == (options.image is None):
        raise ValueError(
            "Give either a text or an image. "
            f"Received: text={options.text!r}, image={options.image}"
        )
    if options.image is not None and options.second_text is not None:
        refuse("second_text", "for a page of texts", options)
    if len(set(options.names)) < len(options.names):
        refuse("names", "two different names", options)
    check_positive(options, "size")


def view_texts(options):
    """Returns the page of one text or two."""
    tokenizer = data.WordTokenizer.from_preset(options.predictor)
    texts = [options.text]
    if options.second_text is not None:
        texts.append(options.second_text)
    read = [read_text(text, tokenizer) for text in texts]
    inputs, words, unknown = zip(*read, strict=True)
    predictor = gk.GraphPredictor.from_preset(options.predictor)
    graphs = [graphs_of(predictor, each) for each in inputs]
    title = f"Graphs of {pathlib.Path(options.predictor).name}"
    missing = sorted(set().union(*unknown))
    if missing:
        title += f" (not in its vocabulary: {listed(missing)})"
    if len(texts) == 1:
        return analysis.view_graphs(graphs[0], words[0], title=title)
    return analysis.view_graphs(
        dict(zip(options.names, graphs, strict=True)),
        dict(zip(options.names, words, strict=True)),
        title=title,
    )


def read_text(text, tokenizer):
    """Returns the inputs of a text, its words and those that are unknown.

    Raises:
        ValueError: If there is no word in the text.
    """
    batch = tokenizer([text])
    if not np.any(batch["padding_mask"]):
        raise ValueError(f"There is no word in the text. Received: {text!r}")
    offsets = np.asarray(batch["token_offsets"])[0]
    words = [text[start:end] for start, end in offsets]
    ids = np.asarray(batch["token_ids"])[0]
    unknown_id = tokenizer.vocabulary.index("<unk>")
    unknown = {w for w, i in zip(words, ids, strict=True) if i == unknown_id}
    inputs = {
        name: np.asarray(batch[name]) for name in ("token_ids", "padding_mask")
    }
    return inputs, words, unknown


def listed(words, most=10):
    """Returns the first words, and how many more there are."""
    rest = len(words) - most
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(words[:most]) + more


def graphs_of(predictor, inputs):
    """Returns the graphs, factored if they have that form."""
    if predictor.activation == "squared_relu":
        predictor = predictor.factored()
    return predictor(inputs)


def view_image(options):
    """Returns the page of an image."""
    image = read_image(options.image, options.size)
    predictor = gk.ImageGraphPredictor.from_preset(options.predictor)
    graphs = graphs_of(predictor, {"images": np.asarray(image)[None]})
    title = f"{options.image.name}: graphs of {options.predictor}"
    return analysis.view_graphs(graphs, image=image, title=title)


if __name__ == "__main__":
    main(tyro.cli(Options))
