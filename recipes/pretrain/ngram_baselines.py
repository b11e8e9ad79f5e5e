"""Measures n-gram perplexities on the held-out windows of a pretraining.

    python -m recipes.pretrain.ngram_baselines --run runs/wiki

The events are those of `recipes.pretrain.evaluate`: each word of a held-out
window that has a predecessor in its window (`backward`: a successor), given
words of that window only. So the context of an n-gram ends where the window
ends, and the second word of a window has one word of context for a trigram
too. Words are the ids of the same vocabulary, `<unk>` among them.

The models are nltk's: Witten-Bell, absolute discounting and Kneser-Ney, all
interpolated down to the unigram (`nltk.lm.models`, `nltk.lm.smoothing`).
N-grams are counted in the training texts joined to one long text, as windows
join them, read from its end for `backward`. Every word of the vocabulary
counts once more than it occurs (Kneser-Ney: has one more predecessor), so
that no held-out word has probability 0. Counts lie in sorted arrays, since
nltk's own counter takes tens of gigabytes for so many trigrams.

Writes RUN/ngrams.json.
"""

import dataclasses
import functools
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

from glomo_keras.ops.graphs import DIRECTIONS
from glomo_keras.utils import files
from recipes.common import check_data
from recipes.common import check_not_negative
from recipes.common import refuse
from recipes.pretrain import text as pretrain_text
from recipes.pretrain.evaluate import describe_windows
from recipes.pretrain.evaluate import held_out_windows

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}
MAX_ORDER = 3
CONTEXTS_KEPT = 64


@dataclasses.dataclass
class Options:
    """Measures unigrams, bigrams and trigrams on held-out windows."""

    run: pathlib.Path
    """The run folder of recipes.pretrain.text."""
    windows: int = 0
    """Held-out windows, evenly spaced; 0 takes all."""
    discount: float = 0.75
    """Of absolute discounting and Kneser-Ney."""


def measure(options):
    """Runs the recipe; returns the content of RUN/ngrams.json."""
    check_not_negative(options, "windows")
    if not 0 < options.discount < 1:
        refuse("discount", "between 0 and 1", options)
    settings = pretrain_text.read_run(options.run)
    corpus = pretrain_text.load(settings)
    check_data(pretrain_text.describe_text(corpus), options.run)
    held_out = held_out_windows(
        corpus.validation, settings.max_length, options.windows
    )
    results = {
        "windows": describe_windows(held_out),
        "discount": options.discount,
        "perplexity": {
            direction: measure_direction(options, direction, corpus, held_out)
            for direction in DIRECTIONS
        },
    }
    files.write_json(options.run / "ngrams.json", results)
    return results


def measure_direction(options, direction, corpus, held_out):
    """Returns the perplexities of all models in a direction."""
    step = 1 if direction == "forward" else -1
    windows = [
        ids[mask][::step]
        for ids, mask in zip(
            held_out["token_ids"], held_out["padding_mask"], strict=True
        )
    ]
    stream = corpus.train
    texts = [stream.text(index) for index in range(stream.num_texts)]
    counts = StreamCounts(np.concatenate(texts)[::step], len(corpus.vocabulary))
    found = {}
    for name, (order, model) in make_models(counts, options.discount).items():
        found[name] = perplexity(model, order, windows, f"{direction} {name}")
        print(f"{direction} {name}: {found[name]:.2f}")
    return found


class StreamCounts:
    """Counts n-grams, with the interface of nltk's `NgramCounter`.

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
        self.unigrams = self._with_one_more(self._followers(types[0], 0))
        self._cached = functools.lru_cache(CONTEXTS_KEPT)(self._look_up)

    def __getitem__(self, context):
        """Returns the `FreqDist` of the words that follow a tuple of ids."""
        return self._cached("types", tuple(context))

    def continuations(self, context):
        """Returns how many different words precede the context and each word.

        Args:
            context: tuple of at most one id.

        Returns:
            `FreqDist` of the words; after `()` each of the V ids has one
            predecessor more.
        """
        return self._cached("continuations", tuple(context))

    def _codes(self, token_ids, order):
        """Returns n-grams as numbers to the base V, first word first."""
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
            return self._followers(self._types[len(context)], code)
        followers = self._followers(self._continuations[len(context)], code)
        return followers if context else self._with_one_more(followers)

    def _followers(self, table, context_code):
        codes, counts = table
        start = context_code * self.vocabulary_size
        stop = start + self.vocabulary_size
        first, last = np.searchsorted(codes, (start, stop))
        words = codes[first:last] - start
        return FreqDist(
            dict(zip(words.tolist(), counts[first:last].tolist(), strict=True))
        )

    def _with_one_more(self, followers):
        return FreqDist(
            {word: followers[word] + 1 for word in range(self.vocabulary_size)}
        )


class LookedUpKneserNey(KneserNey):
    """nltk's Kneser-Ney with continuation counts from `StreamCounts`."""

    def _continuation_counts(self, word, context=()):
        followers = self.counts.continuations(context)
        return followers[word], followers.N()


def make_models(counts, discount):
    """Returns the n-gram models.

    Args:
        counts: `StreamCounts`.
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
    """Returns the words that an n-gram predicts, and their contexts.

    Args:
        windows: list of integer arrays, the words of each window in the
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
    """Returns the perplexity of an n-gram model on the events of windows."""
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


if __name__ == "__main__":
    measure(tyro.cli(Options))
