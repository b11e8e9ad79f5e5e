"""The recipe of parts of speech on a treebank that the tests write."""

import dataclasses
import json
import random

import numpy as np
import pytest

from recipes.tasks import pos_tags
from tests.recipes import small_tasks

TAGS = ("DET", "DET", "NOUN", "NOUN", "NOUN", "VERB", "VERB", "VERB")


def write_treebank(path):
    """Eight documents of five sentences."""
    rng, lines = random.Random(0), []
    for document in range(8):
        lines.append(f"# newdoc id = number-{document}")
        for _ in range(5):
            for number in range(1, rng.randint(3, 7)):
                kind = rng.randrange(len(TAGS))
                word, head = small_tasks.WORDS[kind], number > 1
                lines.append(
                    f"{number}\t{word}\t_\t{TAGS[kind]}\t_\t_\t{head:d}\tx\t_\t_"
                )
            lines.append("")
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pos_tags")
    write_treebank(folder / "tags.conllu")
    small_tasks.write_vectors(folder / "vectors.txt")
    small_tasks.write_predictor(folder / "preset")
    return pos_tags.Options(
        treebank=folder / "tags.conllu",
        vectors=folder / "vectors.txt",
        predictor=str(folder / "preset"),
        graph="predicted",
        transfer="heads",
        train_sentences=10,
        batch_size=10,
        epochs=2,
        out=folder / "predicted",
    )


def test_run_leaves_its_accuracy(options):
    (metrics,) = pos_tags.main(options)
    assert metrics["train_sentences"] == 10 and metrics["epochs"] == 2
    assert 0 < metrics["test_accuracy"] < 1
    path = options.out / "seed-0" / "metrics.json"
    assert json.loads(path.read_text()) == metrics


def test_second_seed_needs_the_vectors_of_the_first(options, tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text(options.vectors.read_text())
    run = dataclasses.replace(
        options, graph="none", transfer="mixture", vectors=vectors
    )
    run = dataclasses.replace(run, epochs=1, out=tmp_path / "run")
    pos_tags.main(run)
    vectors.write_text(vectors.read_text().replace(" 0.2 ", " 0.4 "))
    with pytest.raises(ValueError, match="changed.*\n.*word_vectors"):
        pos_tags.main(dataclasses.replace(run, seeds=2))


def test_diverged_training_leaves_no_metrics(options):
    out = options.out.with_name("diverged")
    with pytest.raises(RuntimeError, match="finite"):
        pos_tags.main(dataclasses.replace(options, learning_rate=1e30, out=out))
    assert not (out / "seed-0/metrics.json").exists()


@pytest.mark.slow
def test_words_are_learned_from_their_vectors(options):
    learned = dataclasses.replace(
        options,
        graph="none",
        transfer="mixture",
        learning_rate=0.3,
        batch_size=5,
        epochs=30,
        patience=30,
        out=options.out.with_name("none"),
    )
    assert pos_tags.main(learned)[0]["test_accuracy"] > 0.9


def test_parts_share_no_document(options):
    sentences = pos_tags.probes.read_conllu(options.treebank)
    parts = pos_tags.split(options, sentences)
    assert sorted(sum(parts.values(), [])) == list(range(40))
    documents = [
        {sentences[number].document for number in numbers}
        for numbers in parts.values()
    ]
    assert [len(part) for part in documents] == [2, 2, 4]
    assert len(set().union(*documents)) == 8


def test_padding_has_no_weight(options):
    loaded = pos_tags.load(options)
    for inputs, tags, weights in loaded.parts.values():
        assert inputs["token_ids"].shape == tags.shape == weights.shape
        np.testing.assert_array_equal(weights == 1, inputs["padding_mask"])
        assert not tags[weights == 0].any()


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param("uniform", marks=pytest.mark.slow),
        "decay",
        pytest.param("random", marks=pytest.mark.slow),
    ],
)
def test_sources_are_matched_by_a_hidden_layer(options, graph):
    other = dataclasses.replace(options, graph=graph)
    loaded = pos_tags.load(other)
    wanted = pos_tags.build(other, loaded, 0)
    matched = pos_tags.match_width(
        dataclasses.replace(other, matched=True), loaded, pos_tags.build
    )
    assert matched.graph == "none"
    found = pos_tags.build(matched, loaded, 0)
    counts = [
        sum(np.prod(weight.shape) for weight in model.trainable_weights)
        for model in (wanted, found)
    ]
    assert counts[1] == pytest.approx(counts[0], rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_sentences": 0}, "--train-sentences is at least 1"),
        ({"hidden_dim": -1}, "--hidden-dim is at least 0"),
        ({"dropout": 1.0}, r"--dropout is in \[0, 1\)"),
        ({"placement": "states"}, "--placement is embeddings"),
        ({"steps_per_epoch": 3}, "--steps-per-epoch is not an option"),
        ({"transfer": "mixture", "graph_layers": (4,)}, r"from 1 to 2.*\(4,\)"),
        ({"num_mixtures": 2}, "--num-mixtures is an option of --transfer mix"),
        ({"products": False}, "--products is an option of --transfer mixture"),
    ],
)
def test_bad_options_are_refused_before_any_work(options, changes, message):
    out = options.out.with_name("refused")
    with pytest.raises(ValueError, match=message):
        pos_tags.main(dataclasses.replace(options, out=out, **changes))
    assert not out.exists()


@pytest.mark.slow
def test_features_of_a_pretrainer_join_the_graphs(options, tmp_path):
    folder = small_tasks.write_pretrainer(tmp_path / "pretrainer")
    joint = dataclasses.replace(
        options,
        features="glove+pretrained",
        pretrainer=folder,
        predictor=str(folder),
        out=tmp_path / "joint",
    )
    (metrics,) = pos_tags.main(joint)
    assert metrics["pretrained_width"] == 8 and metrics["vector_width"] == 3
    assert metrics["predictor_sha256"]
    facts = json.loads((joint.out / "seed-0" / "data.json").read_text())
    assert len(facts["pretrainer"]) == 64
    assert facts["pretrainer"] == facts["predictor"]
    other = small_tasks.write_pretrainer(tmp_path / "other", ["the", "cat"])
    differing = dataclasses.replace(joint, pretrainer=other)
    with pytest.raises(ValueError, match="differ in .'vocabulary'.*Received"):
        pos_tags.main(differing)


def test_treebank_that_cannot_serve_is_refused(options, tmp_path):
    missing = dataclasses.replace(options, treebank=tmp_path / "missing")
    with pytest.raises(ValueError, match="--treebank is a CoNLL-U file"):
        pos_tags.main(missing)
    other = tmp_path / "one_document.conllu"
    text = options.treebank.read_text()
    other.write_text(text.replace("# newdoc", "# no"))
    with pytest.raises(ValueError, match="several documents"):
        pos_tags.load(dataclasses.replace(options, treebank=other))
    many = dataclasses.replace(options, train_sentences=99)
    with pytest.raises(ValueError, match="at most 20. Received: train"):
        pos_tags.load(many)
