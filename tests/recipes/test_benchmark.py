import csv

from recipes import benchmark


def test_measure_runs_both_forms():
    for form in benchmark.FORMS:
        result = benchmark.measure(form, length=16, repeats=1)
        assert result["seconds"] > 0
        assert result["megabytes"] >= 0


def test_table_has_the_ratio_of_the_two_forms(tmp_path, monkeypatch):
    seconds = {"factored": 0.5, "materialised": 2.0}
    monkeypatch.setattr(
        benchmark,
        "measure_apart",
        lambda form, length, repeats: {
            "seconds": seconds[form],
            "megabytes": length,
        },
    )
    out = tmp_path / "new" / "table.csv"
    benchmark.main(benchmark.Options(lengths=(8, 16), out=out))
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["T"] for row in rows] == ["8", "16"]
    assert [row["speedup"] for row in rows] == ["4.0", "4.0"]
