"""The page of all results, from run folders that the tests write."""

import csv
import json
import math
import pathlib

import pytest

from recipes.evidence import __main__ as evidence
from recipes.evidence import plots
from recipes.evidence import records
from recipes.evidence import runs

BASE = {
    "recipe": "recipes.tasks.pos_tags",
    "treebank": "/somewhere/else/tags.conllu",
    "vectors": "vectors.txt",
    "features": "glove",
    "graph": "none",
    "matched": False,
    "placement": "embeddings",
    "transfer": "mixture",
    "graph_dropout": 0.0,
    "learning_rate": 0.01,
    "train_sentences": 100,
    "limit": None,
}


def write_run(folder, seed, accuracy=None, data="abc", **changes):
    """Writes one run folder; without an accuracy it is not finished."""
    path = folder / f"seed-{seed}"
    path.mkdir(parents=True)
    config = {**BASE, "seed": seed, **changes}
    (path / "config.json").write_text(json.dumps(config))
    facts = {"words": data, "predictor": None}
    (path / "data.json").write_text(json.dumps(facts))
    if accuracy is not None:
        metrics = {"seed": seed, "test_accuracy": accuracy}
        if "train_examples" in changes:
            metrics["train_examples"] = changes["train_examples"]
        (path / "metrics.json").write_text(json.dumps(metrics))
    return path


def write_reviews(folder, **changes):
    """Writes two seeds of IMDB with 900 labels."""
    changes = {"recipe": "recipes.tasks.imdb", "train_examples": 900, **changes}
    for seed in range(2):
        write_run(folder, seed, 0.8, **changes)


def write_mode(folder, name, gain, sizes=(100, 1000), **changes):
    """Writes three seeds for each size, better by a gain and a little."""
    for size in sizes:
        for seed in range(3):
            base = 0.5 + size / 10_000 + seed / 100
            wobble = seed / 1000 if gain > 0.02 else 0
            write_run(
                folder / f"{name}-{size}",
                seed,
                base + gain + wobble,
                train_sentences=size,
                **changes,
            )


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "runs"
    write_mode(folder, "none", 0)
    write_mode(folder, "uniform", 0.01, graph="uniform")
    write_mode(folder, "glomo", 0.03, graph="predicted")
    return folder


def page_of(folder, tmp_path):
    options = evidence.Options((folder,), tmp_path / "out")
    page = evidence.main(options)
    assert (tmp_path / "out/evidence.md").read_text("utf-8") == page
    return page


def cells(page, mode):
    """The cells of the rows of a mode."""
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in page.splitlines()
        if line.startswith(f"| {mode} ")
    ]


def test_differences_are_to_the_best_control_paired_by_seed(folder, tmp_path):
    page = page_of(folder, tmp_path)
    first, second = cells(page, "predicted")
    # 2.0, 2.1, 2.2: the mean and 4.303 standard errors of 0.0577
    assert first[1:] == [
        "`--graph predicted`",
        "3",
        "55.10 ± 1.10",
        "+2.10 (1.85 to 2.35) to uniform, 3 pairs",
    ]
    assert second[3] == "64.10 ± 1.10"
    # The best control is compared with the second best.
    assert cells(page, "uniform")[0][4].startswith("+1.00 (1.00 to 1.00) to no")
    assert cells(page, "none")[0][4].startswith("-1.00")
    assert page.count("zero: **predicted**.") == 2
    assert page.count("Controls without a finished run: matched, random.") == 2
    assert "differ in more" not in page and "not the same" not in page
    picture = tmp_path / "out/evidence_pos_tags.png"
    assert picture.stat().st_size > 1000 and picture.name in page


def test_table_names_its_command_without_paths_and_defaults(folder, tmp_path):
    page = page_of(folder, tmp_path)
    assert (
        "python -m recipes.tasks.pos_tags --vectors vectors.txt --treebank "
        "tags.conllu --train-sentences 1000 OPTIONS --seeds 3 --out OUT"
    ) in page.replace(" \\\n   ", "")
    assert "/somewhere" not in page


@pytest.mark.parametrize("placement", ["embeddings", "states"])
def test_differences_to_distance_have_their_column(folder, tmp_path, placement):
    options = {"graph": "decay", "placement": placement}
    write_mode(folder, "decay", 0.02, **options, sizes=(100,))
    page = page_of(folder, tmp_path)
    assert cells(page, "predicted")[0][-1] == "+1.10 (0.85 to 1.35)"
    assert cells(page, "none")[0][-1] == "-2.00 (-2.00 to -2.00)"
    name = "decay" if placement == "embeddings" else "decay on states"
    assert cells(page, name)[0][-1] == ""
    assert page.count("test accuracy: to decay") == 1  # not at 1,000


def test_options_left_at_their_default_are_told_apart(folder, tmp_path):
    """The default of --graph-units is None."""
    write_mode(folder, "wide", 0.04, graph="predicted", graph_units=50)
    page = page_of(folder, tmp_path)
    (wide, _) = cells(page, "predicted (graph_units 50)")
    assert wide[1] == "`--graph predicted --graph-units 50`"
    assert len(cells(page, "predicted")) == 4
    assert "differ in more than the mode and the seed: `graph_units`" in page
    command, _ = page.split("OPTIONS --seeds", 1)
    assert "--graph-units" not in command


def test_first_seed_is_told(tmp_path):
    for seed in (5, 6):
        write_run(tmp_path / "runs/none", seed, 0.6)
    assert "--first-seed 5 --seeds 2" in commands(
        page_of(tmp_path / "runs", tmp_path)
    )


def test_runs_of_other_weights_are_left_out(folder, tmp_path):
    """A preset folder may hold other weights than when runs began."""
    path = write_run(folder / "glomo-100", 3, 0.99, graph="predicted")
    facts = {"words": "abc", "predictor": "other weights"}
    (path / "data.json").write_text(json.dumps(facts))
    page = page_of(folder, tmp_path)
    assert cells(page, "predicted")[0][2] == "3"
    assert "`glomo-100/seed-3` (predicted) had a preset of the same" in page


def test_negative_results_are_said(folder, tmp_path):
    for path in folder.rglob("metrics.json"):
        metrics = json.loads(path.read_text())
        if "glomo" in str(path):
            metrics["test_accuracy"] -= 0.1
        path.write_text(json.dumps(metrics))
    page = page_of(folder, tmp_path)
    assert page.count("**no mode** is above the best control") == 2


def test_other_settings_and_data_are_said(folder, tmp_path):
    other = {"graph": "predicted", "sizes": (100,)}
    write_mode(folder, "slow", 0.04, learning_rate=0.001, **other)
    write_mode(folder, "new", 0.05, data="xyz", graph="random", sizes=(1000,))
    page = page_of(folder, tmp_path)
    small, large = page.split("### ")[1:]
    assert (
        "differ in more than the mode and the seed: `learning_rate`." in small
    )
    assert "**predicted (learning_rate 0.001); predicted (learning" in small
    (row,) = cells(small, "predicted (learning_rate 0.001)")
    assert row[1] == "`--learning-rate 0.001 --graph predicted`"
    assert "differ in more" not in large
    assert "not the same: `words` differ" in large


def test_options_without_an_effect_do_not_count(folder, tmp_path):
    write_mode(folder, "twice", 0, graph_dropout=0.3)  # no graphs to drop
    write_mode(folder, "other", 0, sizes=(100,), graph_dropout=0.3, data="xyz")
    found = runs.lines_of(records.read([folder]))
    found = found["recipes.tasks.pos_tags", True]
    assert [line.label for line in found] == ["none", "uniform", "predicted"]
    assert len(found[0].results[100]) == 3


def test_a_run_that_has_just_begun_leaves_its_mode_in_the_table(
    folder, tmp_path
):
    (folder / "glomo-100/seed-0/metrics.json").unlink()
    (folder / "glomo-100/seed-0/data.json").unlink()
    path = folder / "glomo-100/seed-{}/data.json"
    for seed in (1, 2):
        facts = json.dumps({"words": "abc", "predictor": "a checksum"})
        pathlib.Path(str(path).format(seed)).write_text(facts)
    page = page_of(folder, tmp_path)
    assert cells(page, "predicted")[0][2] == "2"
    assert "* `glomo-100/seed-0` (predicted) is not finished." in page
    assert "other weights" in page  # than those of 1000 sentences


def test_runs_that_cannot_count_are_named(folder, tmp_path):
    write_run(folder / "cut", 7, graph="random")
    write_run(folder / "again", 0, 0.9)
    broken = write_run(folder / "broken", 8, 0.9, graph="decay")
    (broken / "metrics.json").write_text('{"seed": 8, "f1": 0.5}')
    page = page_of(folder, tmp_path)
    assert "* `cut/seed-7` (random) is not finished." in page
    assert "* none, seed 0, was trained twice" in page
    assert "`none-100/seed-0` is left out" in page
    assert "* `broken/seed-8` lacks the numbers ['test_accuracy']." in page


def test_modes_of_features_and_places_have_names():
    names = [
        runs.mode_of({**BASE, **changes})
        for changes in (
            {"placement": "states"},
            {"graph": "predicted", "placement": "states"},
            {"graph": "predicted", "matched": True},
            {"features": "glove+pretrained"},
            {"features": "pretrained", "graph": "decay"},
            {"features": "elmo", "graph": "uniform"},
        )
    ]
    assert names == [
        "none",
        "predicted on states",
        "matched",
        "none, glove+pretrained",
        "decay, pretrained",
        "uniform, elmo",
    ]
    controls = [runs.Line(name, {}).is_control for name in names]
    assert controls == [True, False, True, False, False, True]


def test_controls_have_the_same_features(tmp_path):
    folder = tmp_path / "runs"
    write_mode(folder, "none", 0.03)
    write_mode(folder, "uniform", 0.01, graph="uniform", features="elmo")
    write_mode(folder, "learned", 0.04, graph="predicted", features="elmo")
    page = page_of(folder, tmp_path)
    row = cells(page, "predicted, elmo")[0]
    assert "to uniform, elmo, 3 pairs" in " ".join(row)


def test_equal_differences_prove_nothing(tmp_path):
    for seed, accuracy in enumerate((0.81, 0.82)):
        write_run(tmp_path / "runs/uniform", seed, accuracy, graph="uniform")
        path = tmp_path / "runs/predicted"
        write_run(path, seed, accuracy + 0.02, graph="predicted")
    page = page_of(tmp_path / "runs", tmp_path)
    assert "+2.00 (2.00 to 2.00) to uniform, 2 pairs" in page
    assert "**no mode** is above" in page


def test_lines_of_one_mode_are_told_apart():
    lines = [
        runs.Line("matched", {"graph": graph, "epochs": 3})
        for graph in ("predicted", "uniform")
    ]
    runs.name_lines(lines)
    assert [line.label for line in lines] == [
        "matched (graph predicted)",
        "matched (graph uniform)",
    ]


@pytest.mark.parametrize("limit", [900, 1000, None])
def test_seeds_that_share_their_examples_are_told(tmp_path, limit):
    write_reviews(tmp_path / "runs", limit=limit)
    page = page_of(tmp_path / "runs", tmp_path)
    assert ("trained on the same examples" in page) == (limit == 900)


@pytest.mark.parametrize(("count", "told"), [(105, False), (106, True)])
def test_other_numbers_of_parameters_are_told(tmp_path, count, told):
    for graph, trained in (("none", 1), ("uniform", 100), ("random", count)):
        path = write_run(tmp_path / "runs" / graph, 0, 0.8, graph=graph)
        metrics = json.loads((path / "metrics.json").read_text())
        metrics["trained_parameters"] = trained
        (path / "metrics.json").write_text(json.dumps(metrics))
    page = page_of(tmp_path / "runs", tmp_path)
    assert ("of parameters: uniform 100, random 106." in page) == told


def test_sizes_stand_in_the_metrics_too(tmp_path):
    write_reviews(tmp_path / "runs")
    page = page_of(tmp_path / "runs", tmp_path)
    assert "### 900 reviews" in page and "80.00 ± 0.00" in page


def test_models_without_rnn_have_a_section_of_their_own(tmp_path):
    for name, gain, changes in (
        ("with", 0.5, {}),
        ("without", 0, {"rnn": False}),
        ("graphs", 0.01, {"rnn": False, "graph": "predicted"}),
    ):
        for seed in range(3):
            write_run(
                tmp_path / "runs" / name,
                seed,
                0.3 + gain + seed / 100 + gain * seed / 10,
                recipe="recipes.tasks.imdb",
                train_examples=900,
                **changes,
            )
    page = page_of(tmp_path / "runs", tmp_path)
    with_rnn, without = page.split("## IMDB: sentiment, without an RNN")
    assert "80.00" not in without and "--no-rnn" not in with_rnn
    assert "--no-rnn" in without and "**predicted**" in without
    for name in ("imdb", "imdb_no_rnn"):
        assert f"(evidence_{name}.png)" in page
        assert (tmp_path / f"out/evidence_{name}.png").exists()


def test_images_are_counted_and_have_no_matched_control(tmp_path):
    for limit, count in ((1000, 840), (0, 42_000)):
        path = write_run(
            tmp_path / f"runs/{limit}",
            0,
            recipe="recipes.vision.cifar10",
            limit=limit,
        )
        metrics = {"seed": 0, "test_accuracy": 0.3, "train_images": count}
        (path / "metrics.json").write_text(json.dumps(metrics))
    page = page_of(tmp_path / "runs", tmp_path)
    assert "### 840 images" in page and "### 42,000 images" in page
    assert "--limit 1000 " in page and "--limit 0 " in page
    assert page.count("Controls without a finished run: uniform, random.") == 2


def test_sizes_may_be_trained_for_longer_or_shorter(folder, tmp_path):
    """A line has more steps where it has more examples."""
    write_mode(folder, "longer", 0, sizes=(5000,), epochs=7)
    write_mode(folder, "decay", 0, sizes=(5000,), epochs=7, graph="decay")
    page = page_of(folder, tmp_path)
    assert len(cells(page, "none")) == 3 and "differ in more" not in page
    assert "--train-sentences 5000 --epochs 7 OPTIONS" in page


def test_other_numbers_of_epochs_at_one_size_are_told(folder, tmp_path):
    write_run(folder / "none-more", 7, 0.9, epochs=7)
    write_mode(folder, "decay", 0, sizes=(100,), epochs=9, graph="decay")
    page = page_of(folder, tmp_path)
    assert "`none-more/seed-7` (none) has other options" in page
    assert "mode and the seed: `epochs`" in page


@pytest.mark.parametrize("recipe", [None, "recipes.vision.pretrain"])
def test_runs_of_other_recipes_are_told_and_left_out(folder, recipe, capsys):
    write_run(folder / "other", 0, 0.9, graph="random", recipe=recipe)
    read = records.read([folder])
    assert not any(record["name"].startswith("other") for record in read)
    (found,) = runs.lines_of(read).values()
    assert [line.mode for line in found] == ["none", "uniform", "predicted"]
    told = (
        ": 1 runs of no known task are left out, such as other/seed-0 of "
        f"{recipe}\n"
    )
    assert f"{folder}{told}" in capsys.readouterr().out
    # A file that an earlier version wrote may have them too.
    path = folder.with_name("kept.jsonl")
    records.write([*records.read_runs(folder)], path)
    assert len(records.read([path])) == len(read)
    assert f"{path}{told}" in capsys.readouterr().out


def test_band_is_the_interval_of_student():
    mean, reach = plots.mean_and_reach({0: 1.0, 1: 2.0, 2: 6.0})
    assert mean == 3
    deviation = math.sqrt((4 + 1 + 9) / 2)
    assert reach == pytest.approx(4.302652729911275 * deviation / math.sqrt(3))
    assert math.isnan(plots.mean_and_reach({0: 1.0})[1])


def write_measured(folder, use, values, settings):
    """Writes a runs.csv: the perplexities of each source by seed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["use", "seed", "source", "perplexity", "settings"])
        for source, found in values.items():
            for seed, value in enumerate(found):
                row = [use, seed, source, value, json.dumps(settings)]
                writer.writerow(row)


def commands(page):
    """The page with each command on one line."""
    return " ".join(page.replace("\\\n", "").split())


def test_tables_of_the_instrument_are_found(folder, tmp_path):
    write_measured(
        folder / "transfer",
        "heads",
        {"uniform": (200, 200), "learned": (100, 101)},
        {
            "corpus": ["/far/away.txt"],
            "predictor": "mine",
            "steps": 7,
            "vectors": None,
        },
    )
    page = page_of(folder, tmp_path)
    assert (
        "transfer_perplexity --corpus away.txt --predictor mine --steps 7"
    ) in commands(page)
    heads = [line for line in page.splitlines() if line.startswith("| heads")]
    assert "learned" in heads[0] and "0.502" in heads[0]
    assert "uniform" in heads[1] and len(heads) == 2
    assert "part of the method" not in page


def test_first_measurement_of_the_same_counts(folder, tmp_path):
    """A kept table stays when the preset of its name is another."""
    settings = {"predictor": "mine", "data": {"predictor": "old"}}
    sources = {"uniform": (200, 200), "learned": (100, 100)}
    write_measured(folder / "transfer", "heads", sources, settings)
    page = page_of(folder, tmp_path)
    assert "Left out" not in page
    settings = {"predictor": "mine", "data": {"predictor": "new"}}
    sources = {"uniform": (200, 200), "learned": (50, 50)}
    write_measured(folder / "transfer", "heads", sources, settings)
    page = page_of(folder, tmp_path)
    (learned,) = (line for line in page.splitlines() if "| learned" in line)
    assert " 50.0 " in learned and "0.250" in learned
    assert "Left out: 4 measurements of the same command with other" in page


def test_ratio_of_one_seed_has_three_decimals(folder, tmp_path):
    sources = {"uniform": (200,), "learned": (190.1,)}
    write_measured(folder / "transfer", "heads", sources, {"predictor": "x"})
    page = page_of(folder, tmp_path)
    (learned,) = (line for line in page.splitlines() if "| learned" in line)
    assert " 190.1 " in learned and " 0.951 " in learned
    assert "--sources learned uniform " in page


def test_tables_of_ablations_are_found(folder, tmp_path):
    write_measured(
        folder / "ablations",
        "mixture",
        {"one_word": (220, 221), "full": (200, 201)},
        {
            "corpus": ["/far/away.txt"],
            "config": "medium",
            "steps": 40,
            "lowercase": None,
            "transfer": {
                "batch_size": 16,
                "steps": 7,
                "vectors": "/far/glove.txt",
            },
        },
    )
    page = page_of(folder, tmp_path)
    assert (
        "ablations --config medium --corpus away.txt --steps 40 "
        "--transfer.steps 7 --transfer.vectors glove.txt "
        "--transfer.uses mixture --seeds 2"
    ) in commands(page)
    rows = [line for line in page.splitlines() if line.startswith("| mixture")]
    assert "full" in rows[0] and "200.5" in rows[0]
    assert "one_word" in rows[1] and "1.100" in rows[1] and len(rows) == 2
    assert "--rows full one_word" in commands(page)
    assert "Not measured yet" not in page


def test_unfinished_ablations_are_told(folder, tmp_path):
    sources = {"full": (200, 201), "one_word": (220,)}
    settings = {"steps": 40, "transfer": {}}
    write_measured(folder / "ablations", "mixture", sources, settings)
    page = page_of(folder, tmp_path)
    assert "Not measured yet: mixture, one_word, seed 1." in page


def test_a_measurement_that_was_cut_off_does_not_count(folder, tmp_path):
    path = folder / "transfer" / "runs.csv"
    settings = {"predictor": "mine", "steps": 7}
    write_measured(path.parent, "heads", {"learned": (200, 300)}, settings)
    path.write_bytes(path.read_bytes()[:-5])
    assert "200.0" in page_of(folder, tmp_path)


def test_an_unfinished_run_renames_no_finished_one(folder, tmp_path):
    """Its other options tell nothing of the table apart."""
    write_run(folder / "quick", 0, learning_rate=0.5)
    assert "| none (" not in page_of(folder, tmp_path)


def test_page_needs_the_folders_no_more(folder, tmp_path):
    page = page_of(folder, tmp_path)
    lines = tmp_path / "out/evidence.jsonl"
    folder.rename(tmp_path / "elsewhere")
    again = tmp_path / "again"
    assert evidence.main(evidence.Options((lines,), again)) == page
    write_run(folder / "more", 3, 0.6, graph="uniform")
    write_run(folder / "more", 4, graph="uniform")  # not finished
    both = evidence.main(evidence.Options((folder,), again))
    assert cells(both, "uniform")[0][2] == "4"
    assert len((again / "evidence.jsonl").read_text().splitlines()) == 19
    with pytest.raises(ValueError, match="--runs has folders.*nowhere"):
        records.read([tmp_path / "nowhere"])


def test_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="folders of runs of tasks.*Received"):
        evidence.main(evidence.Options((tmp_path,), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_measurements_alone_make_a_page(tmp_path):
    sources = {"uniform": (200, 200), "learned": (100, 100)}
    settings = {"predictor": "mine"}
    write_measured(tmp_path / "runs", "heads", sources, settings)
    assert "Graphs under fresh features" in page_of(tmp_path / "runs", tmp_path)


def test_controls_on_states_are_controls(tmp_path):
    folder = tmp_path / "runs"
    write_mode(folder, "none", 0)
    write_mode(folder, "uniform", 0.01, graph="uniform", placement="states")
    page = page_of(folder, tmp_path)
    assert page.count("Controls without a finished run: matched, random.") == 2
