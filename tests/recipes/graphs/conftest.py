"""A small preset for the recipes of graphs."""

import pytest

import glomo_keras as gk

WORDS = ["<pad>", "<unk>", "the", "cat", "sat"]


@pytest.fixture
def preset(tmp_path):
    predictor = gk.GraphPredictor(
        len(WORDS), embedding_dim=8, num_heads=2, key_dim=4, num_conv_layers=1
    )
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "keep"}
    predictor.save_to_preset(tmp_path / "preset")
    return str(tmp_path / "preset")
