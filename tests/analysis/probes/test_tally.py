import numpy as np
import pytest

from glomo_keras.analysis.probes import Tally


def test_accuracy_and_best_rule():
    tally = Tally(np.array([[[1, 0], [2, 2]]]), np.array([2, 3]))
    assert tally.accuracy().tolist() == [[0.2, 0.8]]
    assert tally.best() == (0, 1)
    assert tally.rule((0, 1)).accuracy() == 0.8
    both = tally.rule((0, 0)) + tally.rule((0, 1))
    assert both.accuracy() == 0.5 and both.best() == ()


def test_answers_given_as_booleans_add_up():
    first = Tally(np.array([[True, False]]), np.array([True, True]))
    second = Tally(np.array([[True, True]]), np.array([True, True]))
    assert (first + second).total.tolist() == [2, 2]
    assert (first + second).accuracy().tolist() == [0.75]


def test_interval_covers_the_share_in_about_95_of_100_draws():
    rng = np.random.default_rng(0)
    total = np.full(60, 5)
    covered = 0
    for _ in range(200):
        tally = Tally(rng.binomial(5, 0.3, 60), total)
        low, high = tally.interval(resamples=300)
        covered += low <= 0.3 <= high
    assert 180 <= covered <= 198


def test_questions_of_one_text_hang_together():
    correct = np.repeat([0, 1], 20)
    alone = Tally(correct, np.ones(40, int)).interval()
    together = Tally(5 * correct, np.full(40, 5)).interval()
    np.testing.assert_allclose(alone, together)


def test_difference_of_a_rule_to_itself_is_nothing():
    tally = Tally(np.array([1, 0, 2]), np.array([2, 2, 2]))
    assert tally.interval(tally).tolist() == [0, 0]
    better = Tally(np.array([2, 1, 2]), tally.total)
    low, high = better.interval(tally)
    assert 0 <= low < 1 / 3 < high


def test_interval_is_the_same_for_the_same_seed():
    tally = Tally(np.arange(6) % 3, np.full(6, 3))
    np.testing.assert_array_equal(
        tally.interval(seed=1), tally.interval(seed=1)
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"confidence": 1.0}, "Received: confidence=1.0"),
        ({"resamples": 0}, "Received: resamples=0"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tally(np.array([1]), np.array([1])).interval(**options)


def test_texts_without_a_question_do_not_change_the_interval():
    correct, total = np.zeros((2, 50)), np.zeros(50)
    correct[:, 7], total[7] = (4, 5), 5
    one = Tally(correct, total)
    np.testing.assert_allclose(one.interval(), [[0.8, 1], [0.8, 1]])
    both = Tally(np.full(50, 3), np.full(50, 5))
    low, high = one.interval(both)
    np.testing.assert_allclose([low, high], [[0.2, 0.4]] * 2)
    correct[:, 9], total[9] = 5, 5
    np.testing.assert_allclose(Tally(correct, total).interval()[:, 0], [0.8, 1])


def test_interval_without_questions_is_refused():
    with pytest.raises(ValueError, match="Received: 3 texts with 0 questions"):
        Tally(np.zeros(3), np.zeros(3)).interval()
