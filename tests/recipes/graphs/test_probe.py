"""The recipe that probes the heads of a predictor."""

import csv
import json
import types

import pytest

import glomo_keras as gk
from recipes.graphs import probe
from tests.analysis.probes.small_texts import GAP
from tests.analysis.probes.small_texts import TREEBANK

pytest.importorskip("scipy")
WORDS = "<pad> <unk> the old cat saw it . cats sleep she her left ann".split()
OPTIONS = {"resamples": 20}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "dev.conllu").write_text(TREEBANK)
    first, _ = TREEBANK.split("\n\n", 1)
    (folder / "test.conllu").write_text(first + "\n\n")
    (folder / "gap.tsv").write_text(GAP)
    predictor = gk.GraphPredictor(
        len(WORDS), embedding_dim=8, num_heads=2, key_dim=4, num_conv_layers=1
    )
    predictor.vocabulary = WORDS
    predictor.tokenizer_config = {"lowercase": True, "numbers": "N"}
    predictor.save_to_preset(folder / "preset")
    return folder


@pytest.fixture(scope="module")
def results(files):
    return probe.main(
        probe.Options(
            predictor=str(files / "preset"),
            treebank=files / "dev.conllu",
            treebank_test=files / "test.conllu",
            gap=files / "gap.tsv",
            out=files / "out",
            **OPTIONS,
        )
    )


def found(results, **wanted):
    [row] = [r for r in results["rules"] if wanted.items() <= r.items()]
    return row


def test_rules_of_all_kinds_are_measured(results):
    offset = found(
        results, question="dependency heads", side="after", kind="offset"
    )
    assert offset["rule"] == "offset 1"
    assert (offset["accuracy"], offset["asked"]) == (0.75, 4)
    trees = found(results, question="dependency trees", kind="distance decay")
    assert trees["accuracy"] == pytest.approx(4 / 6)
    names = found(results, question="pronoun's name", kind="distance decay")
    assert (names["accuracy"], names["asked"]) == (0, 2)
    kinds = {row["kind"] for row in results["rules"]}
    assert kinds == {"learned", "untrained", "offset", "distance decay"}


def test_rules_chosen_on_one_file_are_measured_on_the_other(results):
    row = found(
        results, question="dependency heads", side="after", kind="offset"
    )
    assert (row["accuracy"], row["asked"]) == (0.75, 4)
    assert (row["test_accuracy"], row["test_asked"]) == (2 / 3, 3)
    for row in results["rules"]:
        of_trees = row["question"].startswith("dependency")
        assert ("test_accuracy" in row) == of_trees


def test_gain_is_over_the_best_other_rule(results):
    learned = found(
        results, question="dependency heads", side="before", kind="learned"
    )
    others = [
        row["accuracy"]
        for row in results["rules"]
        if (row["question"], row["side"]) == ("dependency heads", "before")
        and row["kind"] != "learned"
    ]
    assert learned["gain"] == pytest.approx(learned["accuracy"] - max(others))
    assert learned["gain_low"] <= learned["gain"] <= learned["gain_high"]


def test_files_hold_the_section_and_every_head(files, results):
    out = files / "out"
    card = (out / "probes.md").read_text("utf-8")
    assert card.startswith("## Probes")
    assert "can name words before its own alone" in card.replace("\n", " ")
    assert "| nsubj " in card
    assert json.loads((out / "probes.json").read_text()) == results
    with open(out / "heads.csv", newline="") as file:
        heads = list(csv.DictReader(file))
    # questions, sides, layers, heads; no word of GAP's texts is repeated
    assert len(heads) == 3 * 2 * 3 * 2
    assert (out / "probes.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "Give --treebank, --gap or both"),
        ({"gap_test": "x.tsv"}, "give --gap too. Received: gap=None"),
        ({"treebank": "x", "limit": 0}, "--limit is at least 1"),
    ],
)
def test_options_that_fit_no_run_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        probe.main(probe.Options(**options))


def test_predictor_without_a_tokenizer_is_refused(files, tmp_path):
    predictor = gk.GraphPredictor.from_preset(files / "preset")
    predictor.tokenizer_config = None
    predictor.save_to_preset(tmp_path / "preset")
    given = probe.Options(
        predictor=str(tmp_path / "preset"), treebank=files / "dev.conllu"
    )
    with pytest.raises(ValueError, match="--predictor is a preset with"):
        probe.main(given)


@pytest.mark.parametrize("lowercase", [False, True])
def test_words_are_looked_up_in_the_case_of_the_tokenizer(files, lowercase):
    predictor = gk.GraphPredictor.from_preset(files / "preset")
    predictor.tokenizer_config = {"lowercase": lowercase, "numbers": "N"}
    sentence = types.SimpleNamespace(words=["The", "cat"])
    (ids,) = probe.word_ids(predictor, [sentence])
    assert ids.tolist() == [2 if lowercase else 1, 4]


def test_words_are_looked_up_as_the_tokenizer_gives_them():
    vocabulary = ["<pad>", "<unk>", "in", "N", "'t"]
    predictor = types.SimpleNamespace(
        vocabulary=vocabulary,
        tokenizer_config={"numbers": "N", "normalize_unicode": True},
    )
    sentence = types.SimpleNamespace(words=["In", "1969", "’t", "x"])
    (ids,) = probe.word_ids(predictor, [sentence])
    assert ids.tolist() == [2, 3, 4, 1]
