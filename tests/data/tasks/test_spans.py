import numpy as np
import pytest

from glomo_keras import data
from tests.data import small_squad

OFFSETS = np.array([[0, 3], [4, 8], [8, 9], [11, 14]])


@pytest.mark.parametrize(
    ("characters", "span"),
    [
        ((4, 8), (1, 1)),
        ((5, 7), (1, 1)),  # within a token
        ((2, 9), (0, 2)),
        ((8, 14), (2, 3)),
        ((3, 4), None),  # the blank between two tokens
        ((9, 11), None),
        ((9, 12), (3, 3)),
        ((14, 20), None),
    ],
)
def test_smallest_cover(characters, span):
    assert data.cover_span(OFFSETS, *characters) == span


def test_text_without_a_token_has_no_cover_and_no_text():
    nothing = np.zeros((0, 2), int)
    assert data.cover_span(nothing, 0, 3) is None
    assert data.span_text("   ", nothing, (0, 0)) == ""
    assert data.span_text("abc", OFFSETS, None) == ""


def test_answers_are_cut_out_of_the_untouched_context():
    lexicon = data.Lexicon()
    for number, answer in ((0, "24–10"), (2, "Zürich \U0001f600"), (1, "1815")):
        context = small_squad.CONTEXTS[number]
        (_,), (offsets,) = lexicon.add([context])
        start = context.index(answer)
        span = data.cover_span(offsets, start, start + len(answer))
        assert data.span_text(context, offsets, span) == answer


@pytest.mark.parametrize("max_tokens", [1, 3, 16])
def test_decoded_span_is_the_best_of_all(max_tokens):
    rng = np.random.default_rng(0)
    starts, ends = rng.normal(size=(2, 5, 9)).astype("float32")
    starts[1, 4:], ends[1, 4:] = -1e30, -1e30  # padding
    spans = data.decode_spans(starts, ends, max_tokens)
    for row in range(5):
        best = max(
            (starts[row, i] + ends[row, j], -i, -j)
            for i in range(9)
            for j in range(i, min(i + max_tokens, 9))
        )
        assert tuple(spans[row]) == (-best[1], -best[2])
    assert np.all(spans[1] < 4)


def test_equal_spans_give_the_first_and_one_token_is_enough():
    assert data.decode_spans(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [
        [0, 0]
    ]
    assert data.decode_spans([[1.0]], [[2.0]]).tolist() == [[0, 0]]


def test_no_token_at_most_is_refused():
    with pytest.raises(ValueError, match="`max_tokens` must be.*Received: "):
        data.decode_spans([[1.0]], [[2.0]], 0)


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="Received: 0 start and 1 end logits"):
        data.decode_spans([[1.0, 0.0]], [[2.0, np.nan]])
