"""N-gram baselines against nltk's own models."""

import math

import nltk
import numpy as np
import pytest
from nltk.lm import models as nltk_models
from nltk.lm.counter import NgramCounter

from recipes.pretrain import ngram_baselines
from recipes.pretrain import text as pretrain_text
from recipes.pretrain.evaluate import held_out_windows
from tests.finished_run import make_run
from tests.finished_run import read_json

VOCABULARY = 9
DISCOUNT = 0.6
TOLERANCE = 1e-12


def stream(words=400):
    rng = np.random.default_rng(0)
    # The last two words of the vocabulary do not occur.
    return np.minimum(rng.geometric(0.3, words), VOCABULARY - 2) - 1


def counter_of(token_ids):
    """nltk's own counts of the same n-grams."""
    token_ids = token_ids.tolist()
    counter = NgramCounter()
    for order in (1, 2, 3):
        counter.update([nltk.ngrams(token_ids[3 - order :], order)])
    for word in range(VOCABULARY):
        counter.unigrams[word] += 1
    return counter


def stock_models(token_ids):
    plain, extended = counter_of(token_ids), counter_of(token_ids)
    for word in range(VOCABULARY):
        extended[2][(-1,)][word] += 1  # one more predecessor
    made = {"unigram": nltk.lm.MLE(1, counter=plain)}
    for order, name in ((2, "bigram"), (3, "trigram")):
        made |= {
            f"{name} witten_bell": nltk_models.WittenBellInterpolated(
                order, counter=plain
            ),
            f"{name} absolute_discounting": (
                nltk_models.AbsoluteDiscountingInterpolated(
                    order, discount=DISCOUNT, counter=plain
                )
            ),
            f"{name} kneser_ney": nltk_models.KneserNeyInterpolated(
                order, discount=DISCOUNT, counter=extended
            ),
        }
    return made


@pytest.fixture(scope="module")
def ours():
    counts = ngram_baselines.StreamCounts(stream(), VOCABULARY)
    return ngram_baselines.make_models(counts, DISCOUNT)


@pytest.fixture(scope="module")
def stock():
    return stock_models(stream())


def contexts(order):
    """Contexts that do and do not occur, shorter ones too."""
    words = range(VOCABULARY)
    by_length = {
        1: [()],
        2: [(a,) for a in words],
        3: [(a,) for a in words] + [(a, b) for a in words for b in words],
    }
    return by_length[order]


def test_scores_are_those_of_nltk_alone(ours, stock):
    assert set(ours) == set(stock)
    for name, (order, model) in ours.items():
        for context in contexts(order):
            for word in range(VOCABULARY):
                wanted = stock[name].unmasked_score(word, context)
                got = model.unmasked_score(word, context)
                assert got == pytest.approx(wanted, rel=TOLERANCE), name


def test_scores_are_a_distribution_without_zeros(ours):
    for order, model in ours.values():
        for context in contexts(order):
            scores = [
                model.unmasked_score(word, context)
                for word in range(VOCABULARY)
            ]
            assert min(scores) > 0
            assert sum(scores) == pytest.approx(1)


def test_unigram_is_add_one():
    counts = ngram_baselines.StreamCounts(stream(), VOCABULARY)
    wanted = np.bincount(stream()[2:], minlength=VOCABULARY) + 1
    assert [counts.unigrams[w] for w in range(VOCABULARY)] == wanted.tolist()


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (1, [[[5], [6], [7], [9]]]),
        (2, [[[4, 5], [5, 6], [6, 7], [8, 9]]]),
        (3, [[[4, 5], [8, 9]], [[4, 5, 6], [5, 6, 7]]]),
    ],
)
def test_events_stay_in_their_window(order, wanted):
    windows = [np.array(w) for w in ([4, 5, 6, 7], [8, 9], [3])]
    groups = ngram_baselines.events(windows, order)
    assert [group.tolist() for group in groups] == wanted


@pytest.mark.parametrize("name", ["unigram", "bigram witten_bell"])
@pytest.mark.parametrize("window", [50, 7])
def test_perplexity_is_that_of_all_events_one_by_one(ours, stock, name, window):
    text = stream(100)
    windows = [text[i : i + window] for i in range(0, len(text), window)]
    order, model = ours[name]
    logs = [
        math.log(stock[name].unmasked_score(b, (a,) if order > 1 else ()))
        for w in windows
        for a, b in nltk.bigrams(w.tolist())
    ]
    got = ngram_baselines.perplexity(model, order, windows)
    assert got == pytest.approx(math.exp(-np.mean(logs)), rel=TOLERANCE)


@pytest.mark.parametrize(("words", "size"), [(2, 9), (100, 2**21)])
def test_text_or_vocabulary_out_of_range_is_refused(words, size):
    with pytest.raises(ValueError, match="three words .* Received: "):
        ngram_baselines.StreamCounts(np.zeros(words, int), size)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("ngrams"))


@pytest.fixture(scope="module")
def results(run):
    return ngram_baselines.measure(ngram_baselines.Options(run.out))


def test_file_holds_all_models(run, results):
    assert read_json(run.out / "ngrams.json") == results
    for direction in ("forward", "backward"):
        perplexities = results["perplexity"][direction]
        assert len(perplexities) == 7
        # 13 words at random, and a full stop after every thirtieth.
        assert all(9 < value < 20 for value in perplexities.values())


def test_backward_is_forward_of_the_reversed_text(run, results):
    corpus = pretrain_text.load(run)
    held_out = held_out_windows(corpus.validation, run.max_length)
    windows = [
        ids[mask][::-1]
        for ids, mask in zip(
            held_out["token_ids"], held_out["padding_mask"], strict=True
        )
    ]
    texts = [corpus.train.text(i) for i in range(corpus.train.num_texts)]
    model = nltk_models.WittenBellInterpolated(2, counter=NgramCounter())
    reversed_text = np.concatenate(texts)[::-1].tolist()
    model.counts.update([nltk.ngrams(reversed_text[1:], 2)])
    model.counts.update([nltk.ngrams(reversed_text[2:], 1)])
    for word in range(len(corpus.vocabulary)):
        model.counts.unigrams[word] += 1
    logs = [
        math.log(model.unmasked_score(b, (a,)))
        for window in windows
        for a, b in nltk.bigrams(window.tolist())
    ]
    assert results["windows"]["events"] == len(logs)
    got = results["perplexity"]["backward"]["bigram witten_bell"]
    assert got == pytest.approx(math.exp(-np.mean(logs)), rel=TOLERANCE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discount": 1.5}, "--discount is between 0 and 1"),
        ({"discount": 0.0}, "--discount is between 0 and 1"),
        ({"windows": -1}, "--windows is at least 0"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        ngram_baselines.measure(ngram_baselines.Options(tmp_path, **changes))
