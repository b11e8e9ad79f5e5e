"""Perplexities of n-grams on the held-out windows of a pretraining.

    python -m recipes.pretrain.ngram_baselines --corpus 'wiki/AA/wiki_*' --out FILE

The events are those of `recipes.pretrain.evaluate`: each unit of a held-out
window that has a predecessor in its window (`backward`: a successor), given
units of that window only. So the context of an n-gram ends where the window
ends, and the second unit of a window has one word of context for a trigram
too. Words are the ids of the same vocabulary, `<unk>` among them.

The models are nltk's: Witten-Bell, absolute discounting and Kneser-Ney, all
interpolated down to the unigram (`nltk.lm.models`, `nltk.lm.smoothing`).
N-grams are counted in the training texts joined to one long text, as windows
join them, read from its end for `backward`. Every word of the vocabulary
counts once more than it occurs (Kneser-Ney: has one more predecessor), so
that no held-out word has probability 0. Counts lie in sorted arrays, as
nltk's own counter takes tens of gigabytes for as many trigrams, and its
Kneser-Ney counts the whole corpus anew for each word.

FILE holds each perplexity as soon as it is known; the same command goes on
with those that are missing.
"""

import dataclasses
import functools
import json
import math
import pathlib

import numpy as np
import tyro
from nltk.lm import MLE
from nltk.lm.models import InterpolatedLanguageModel
from nltk.lm.smoothing import AbsoluteDiscounting
from nltk.lm.smoothing import KneserNey
from nltk.lm.smoothing import WittenBell
from nltk.probability import FreqDist
from tqdm import tqdm

from glomo_keras.training import atomic_file
from recipes.pretrain import evaluate as evaluate_pretrainer
from recipes.pretrain import text as pretrain_text

DIRECTIONS = ("forward", "backward")
NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}
MAX_ORDER = 3
CONTEXTS_KEPT = 64


@dataclasses.dataclass
class Options:
    """Perplexities of unigrams, bigrams and trigrams on held-out windows."""

    corpus: tuple[str, ...]
    """As for recipes.pretrain.text, like all options of the text."""
    out: pathlib.Path
    """The JSON file for the results."""
    cache: pathlib.Path = pathlib.Path("~/.cache/glomo_keras")
    vocabulary_size: int = 20_000
    lowercase: bool = True
    numbers: str = "N"
    min_paragraph_words: int = 5
    validation_fraction: float = 0.01
    data_dir: str | None = None
    seed: int = 0
    max_length: int = 100
    """Words of a held-out window."""
    windows: int = 0
    """Held-out windows, evenly spaced; 0 takes all."""
    discount: float = 0.75
    """Of absolute discounting and Kneser-Ney."""


class StreamCounts:
    """The counts that nltk's models ask an `NgramCounter` for.

    All orders count the n-grams that end at the third word or later, so that
    every n-gram but the longest has a predecessor.

    Args:
        token_ids: integer array (words,), at least three of them.
        vocabulary_size: int, V; V**3 has to fit in 63 bits.

    Attributes:
        unigrams: `FreqDist`, each of the V ids once more than it occurs.
    """

    def __init__(self, token_ids, vocabulary_size):
        if len(token_ids) < MAX_ORDER or vocabulary_size**MAX_ORDER >= 2**63:
            raise ValueError(
                "N-grams need three words or more and at most 2,097,151 "
                f"entries in the vocabulary. Received: {len(token_ids)} words,"
                f" vocabulary_size={vocabulary_size}"
            )
        self.vocabulary_size = vocabulary_size
        token_ids = np.asarray(token_ids, dtype="int64")
        types = {}  # length of the context -> sorted n-gram codes and counts
        for order in range(1, MAX_ORDER + 1):
            types[order - 1] = np.unique(
                self._codes(token_ids, order), return_counts=True
            )
        self._types = types
        self._continuations = {
            length: np.unique(
                types[length + 1][0] % vocabulary_size ** (length + 1),
                return_counts=True,
            )
            for length in range(MAX_ORDER - 1)
        }
        self.unigrams = self._with_one_more(_followers(types[0], 0, None))
        self._cached = functools.lru_cache(CONTEXTS_KEPT)(self._look_up)

    def __getitem__(self, context):
        """`FreqDist` of the words that follow a context, a tuple of ids."""
        return self._cached("types", tuple(context))

    def continuations(self, context):
        """How many different words precede the context and each word.

        Args:
            context: tuple of at most one id.

        Returns:
            `FreqDist` of the words; after `()` each of the V ids has one
            predecessor more.
        """
        return self._cached("continuations", tuple(context))

    def _codes(self, token_ids, order):
        """N-grams as numbers to the base V, first word first."""
        count = len(token_ids) - MAX_ORDER + 1
        codes = np.zeros(count, dtype="int64")
        for start in range(MAX_ORDER - order, MAX_ORDER):
            codes *= self.vocabulary_size
            codes += token_ids[start : start + count]
        return codes

    def _look_up(self, kind, context):
        code = 0
        for word in context:
            code = code * self.vocabulary_size + word
        if kind == "types":
            table = self._types[len(context)]
            return _followers(table, code, self.vocabulary_size)
        table = self._continuations[len(context)]
        followers = _followers(table, code, self.vocabulary_size)
        return followers if context else self._with_one_more(followers)

    def _with_one_more(self, followers):
        return FreqDist(
            {word: followers[word] + 1 for word in range(self.vocabulary_size)}
        )


def _followers(table, context_code, vocabulary_size):
    codes, counts = table
    first, last = 0, len(codes)
    if vocabulary_size is not None:
        context_code *= vocabulary_size
        first, last = np.searchsorted(
            codes, (context_code, context_code + vocabulary_size)
        )
    words = codes[first:last] - context_code
    return FreqDist(
        dict(zip(words.tolist(), counts[first:last].tolist(), strict=True))
    )


class LookedUpKneserNey(KneserNey):
    """nltk's Kneser-Ney with continuation counts that are there already."""

    def _continuation_counts(self, word, context=()):
        followers = self.counts.continuations(context)
        return followers[word], followers.N()


def make_models(counts, discount):
    """The n-gram models.

    Args:
        counts: `StreamCounts`, or an `NgramCounter` for `KneserNey` itself.
        discount: float in (0, 1).

    Returns:
        Dict of names, `"bigram kneser_ney"`, to `(order, model)`.
    """
    models = {"unigram": (1, MLE(1, counter=counts))}
    for order in range(2, MAX_ORDER + 1):
        kinds = {
            "witten_bell": (WittenBell, {}),
            "absolute_discounting": (
                AbsoluteDiscounting,
                {"discount": discount},
            ),
            "kneser_ney": (
                LookedUpKneserNey,
                {"discount": discount, "order": order},
            ),
        }
        for kind, (smoothing, params) in kinds.items():
            model = InterpolatedLanguageModel(
                smoothing, order, counter=counts, params=params
            )
            models[f"{NAMES[order]} {kind}"] = (order, model)
    return models


def events(windows, order):
    """What an n-gram predicts, and from what.

    Args:
        windows: list of integer arrays, the units of each window in the
            order in which they are predicted.
        order: int, n.

    Returns:
        List of int arrays `(events, context + 1)`, the contexts before the
        word, one array for each length of the context.
    """
    length = order - 1
    groups = [
        np.array([w[: k + 1] for w in windows if len(w) > k]).reshape(-1, k + 1)
        for k in range(1, length)
    ]
    full = [
        np.lib.stride_tricks.sliding_window_view(w, length + 1)
        for w in windows
        if len(w) > length
    ]
    if not length:
        full = [view[1:] for view in full]
    return [*groups, np.concatenate([np.empty((0, order), "int32"), *full])]


def perplexity(model, order, windows, name="events"):
    """Perplexity of an n-gram model on the events of windows."""
    score = functools.cache(model.unmasked_score)
    model.unmasked_score = score  # which calls itself for shorter contexts
    total, count = 0.0, 0
    groups = [_distinct(group) for group in events(windows, order)]
    number = sum(len(distinct) for distinct, _ in groups)
    with tqdm(desc=name, total=number, unit_scale=True, delay=0.5) as bar:
        for distinct, repeats in groups:
            for event, times in zip(
                distinct.tolist(), repeats.tolist(), strict=True
            ):
                *context, word = event
                total -= times * math.log(score(word, tuple(context)))
                bar.update()
            count += int(repeats.sum())
    return math.exp(total / count)


def _distinct(group):
    """Different events, those with one last word of context together."""
    columns = [*range(group.shape[1] - 1)][::-1] + [group.shape[1] - 1]
    distinct, repeats = np.unique(group[:, columns], axis=0, return_counts=True)
    return distinct[:, columns], repeats


def measure(options):
    """Runs the recipe.

    Args:
        options: `Options`.

    Returns:
        Dict, what is in the file.
    """
    results = start(options)
    corpus = pretrain_text.load(options)
    held_out = evaluate_pretrainer.held_out_windows(
        corpus.validation, options.max_length, options.windows
    )
    results["windows"] = evaluate_pretrainer.describe_windows(held_out)
    results["vocabulary_size"] = len(corpus.vocabulary)
    results["train_words"] = corpus.train.num_words
    for direction in DIRECTIONS:
        measure_direction(direction, corpus, held_out, results, options)
    results["best"] = best(results["perplexity"])
    save(results, options.out)
    for direction, perplexities in results["best"].items():
        text = ", ".join(
            f"{name} {value['perplexity']:.2f} ({value['model']})"
            for name, value in perplexities.items()
        )
        print(f"{direction}: {text}")
    print(f"-> {options.out}")
    return results


def start(options):
    """The results so far of a run with these options."""
    settings = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    for name in ("out", "cache"):
        del settings[name]
    if options.out.exists():
        results = json.loads(options.out.read_text("utf-8"))
        if results["settings"] != settings:
            raise ValueError(
                "The file holds results of other options: choose another one "
                f"or delete it. Received: out={options.out}, there: "
                f"{results['settings']}, now: {settings}"
            )
        return results
    options.out.parent.mkdir(parents=True, exist_ok=True)
    empty = {direction: {} for direction in DIRECTIONS}
    return {"settings": settings, "perplexity": empty}


def measure_direction(direction, corpus, held_out, results, options):
    """Adds the perplexities of a direction that are missing."""
    step = 1 if direction == "forward" else -1
    windows = [
        ids[mask][::step]
        for ids, mask in zip(
            held_out["token_ids"], held_out["padding_mask"], strict=True
        )
    ]
    found = results["perplexity"][direction]
    names = make_models(None, options.discount)
    if set(names) <= set(found):
        return
    stream = corpus.train
    texts = [stream.text(index) for index in range(stream.num_texts)]
    counts = StreamCounts(np.concatenate(texts)[::step], len(corpus.vocabulary))
    for name, (order, model) in make_models(counts, options.discount).items():
        if name not in found:
            found[name] = perplexity(
                model, order, windows, f"{direction} {name}"
            )
            save(results, options.out)
            print(f"{direction} {name}: {found[name]:.2f}")


def best(perplexities):
    """The best model of each order and direction."""
    chosen = {}
    for direction, found in perplexities.items():
        chosen[direction] = {}
        for order in NAMES.values():
            names = [name for name in found if name.split()[0] == order]
            name = min(names, key=found.get)
            chosen[direction][order] = {
                "model": name.split()[-1],
                "perplexity": found[name],
            }
    return chosen


def save(results, path):
    with atomic_file(path) as file:
        file.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    measure(tyro.cli(Options))
