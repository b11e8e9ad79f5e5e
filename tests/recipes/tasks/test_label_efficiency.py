"""Tables and curves by the number of labels."""

import json

import pytest

from recipes.tasks import label_efficiency


def write_run(folder, mode, size, seed, accuracy):
    path = folder / f"{mode}-{size}" / f"seed-{seed}" / "metrics.json"
    path.parent.mkdir(parents=True)
    metrics = {"seed": seed, "labels": size, "test_accuracy": accuracy}
    path.write_text(json.dumps(metrics))


@pytest.fixture
def options(tmp_path):
    for size in (100, 1000):
        for seed in range(3):
            base = 0.5 + size / 10_000 + seed / 100
            for mode, gain in (("none", 0), ("uniform", 1), ("predicted", 3)):
                wobble = seed / 1000 if mode == "predicted" else 0
                accuracy = base + gain / 100 + wobble
                write_run(tmp_path / "runs", mode, size, seed, accuracy)
    return label_efficiency.Options(
        runs=tmp_path / "runs", size="labels", out=tmp_path / "out"
    )


def test_gain_is_over_the_best_other_paired_by_seed(options):
    first, second = label_efficiency.main(options)
    assert (first["labels"], second["labels"]) == (100, 1000)
    assert list(first) == ["labels", "none", "predicted", "uniform", "gain"]
    assert first["none"] == "52.00 ± 1.00" and second["uniform"][:5] == "62.00"
    # 2.0, 2.1, 2.2: the mean and 4.303 standard errors of 0.0577
    assert first["gain"] == "+2.10 (1.85 to 2.35) over uniform, 3 seeds"
    assert "2.35" in (options.out / "table.md").read_text()
    assert (options.out / "label_efficiency.png").stat().st_size > 1000


def test_a_single_mode_has_no_gain(options):
    options.mode = "uniform"
    for path in options.runs.glob("*/seed-*/metrics.json"):
        if not path.parents[1].name.startswith("uniform"):
            path.unlink()
    assert all("gain" not in row for row in label_efficiency.main(options))


def test_runs_that_cannot_be_compared_are_refused(options, tmp_path):
    options.mode = "heads"
    with pytest.raises(ValueError, match="the modes .'none', 'predicted'"):
        label_efficiency.main(options)
    write_run(tmp_path / "runs", "none", 7, 0, 0.5)
    options.size = "sentences"
    with pytest.raises(ValueError, match=r"without \['sentences'\]"):
        label_efficiency.main(options)
