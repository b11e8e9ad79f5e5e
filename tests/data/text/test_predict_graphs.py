"""Texts of unequal lengths, one graph each."""

import numpy as np
import pytest

from glomo_keras import data
from tests.models.small_models import small_predictor

WORDS = ["<pad>", "<unk>", "the", "cat", "sat", ".", "it", "was", "tired"]
TEXTS = ["The cat sat.", "", "it was tired . " * 5, "Cat", "it was it."]


@pytest.fixture(scope="module")
def predictor():
    predictor = small_predictor()
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "keep"}
    return predictor


def test_each_text_has_the_graphs_that_it_has_alone(predictor):
    answers = data.predict_graphs(predictor, TEXTS, batch_size=2)
    tokenizer = data.WordTokenizer(WORDS)
    assert len(answers) == len(TEXTS)
    for text, answer in zip(TEXTS, answers, strict=True):
        places = answer["token_offsets"]
        cut = [text[start:end].lower() for start, end in places]
        assert answer["tokens"] == cut
        length = len(cut)
        alone = predictor(tokenizer([text]))
        for name in ("forward_graphs", "backward_graphs"):
            assert answer[name].shape == (2, 2, length, length)
            expected = np.asarray(alone[name])[0, :, :, :length, :length]
            np.testing.assert_allclose(answer[name], expected, atol=1e-5)
    assert data.predict_graphs(predictor, []) == []


def test_one_string_and_other_vocabularies_are_refused(predictor):
    with pytest.raises(ValueError, match="list of texts.*Received.*str"):
        data.predict_graphs(predictor, "the cat")
    other = data.WordTokenizer([*WORDS[:-1], "dog"])
    with pytest.raises(ValueError, match="vocabulary of the predictor"):
        data.predict_graphs(predictor, ["the"], other)
    with pytest.raises(
        ValueError, match="no `vocabulary` or no .*tokenizer=None"
    ):
        data.predict_graphs(small_predictor(), ["the"])


@pytest.mark.parametrize(
    "changed", [{"lowercase": False}, {"numbers": "N"}], ids=str
)
def test_tokenizer_of_other_options_is_refused(predictor, changed):
    right = data.WordTokenizer(WORDS, **predictor.tokenizer_config)
    wrong = data.WordTokenizer(
        WORDS, **{**predictor.tokenizer_config, **changed}
    )
    data.predict_graphs(predictor, ["the"], right)
    (name,) = changed
    with pytest.raises(ValueError, match=f"must have {name}=.*Received"):
        data.predict_graphs(predictor, ["the"], wrong)
