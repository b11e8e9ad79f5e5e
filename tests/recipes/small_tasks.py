"""Tiny word vectors and a tiny predictor for the recipes of tasks."""

import dataclasses

import glomo_keras as gk
from recipes.tasks.graphs import trained_parameters

WORDS = "the a dog cat bird runs sleeps eats is not happy late here .".split()


def write_vectors(path):
    """Word vectors of width 3 in GloVe's format."""
    lines = [f"{w} {i / 10} {1 - i / 10} {i % 3}" for i, w in enumerate(WORDS)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_predictor(folder):
    """The preset of an untrained predictor that knows the words."""
    make_predictor(WORDS).save_to_preset(folder)
    return folder


def make_predictor(words):
    """An untrained predictor that knows the words."""
    predictor = gk.GraphPredictor(
        vocabulary_size=len(words) + 2,
        embedding_dim=4,
        num_heads=2,
        key_dim=2,
        num_conv_layers=1,
        num_graph_layers=2,
    )
    predictor.vocabulary = ["<pad>", "<unk>", *words]
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    return predictor


def write_pretrainer(folder, words=WORDS):
    """A whole untrained pretrainer that knows the words."""
    predictor = make_predictor(words)
    gk.ContextPretrainer(predictor).save_to_preset(folder)
    return folder


def check_model_without_rnn(recipe, options):
    """Checks that a recipe trains and tests a model without RNNs.

    Args:
        recipe: module of a classifier.
        options: its options of a run of two epochs.
    """
    run = dataclasses.replace(options, graph="uniform", rnn=False)
    (metrics,) = recipe.main(run)
    assert metrics["epochs"] == 2
    loaded = recipe.load(run)
    with_rnn = recipe.build(dataclasses.replace(run, rnn=True), loaded, seed=0)
    assert metrics["trained_parameters"] < trained_parameters(with_rnn)
