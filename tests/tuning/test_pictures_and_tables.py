import csv

import pytest

from glomo_keras import tuning

ROWS = [
    {"trial": "1", "score": 0.9, "rate": 0.01, "place": "rnn", "p": None},
    {"trial": "0", "score": 0.5, "rate": 0.001, "place": "rnn", "p": True},
    {"trial": "2", "score": None, "rate": 0.1, "place": "rnn", "p": False},
]


def test_parallel_coordinates_draw_every_trial(tmp_path):
    path = tmp_path / "figures" / "trials.png"
    figure = tuning.plot_parallel_coordinates(
        ROWS, ["rate", "place", "p"], "accuracy", "A search", path
    )
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["rate\n(log)", "p", "accuracy"]
    trials = [line for line in axes.lines if len(line.get_xdata()) > 1]
    drawn = [x for x in trials if list(x.get_xdata()) != [0, 0]]
    lengths = sorted(len(x.get_xdata()) for x in drawn if x.get_zorder() == 3)
    assert lengths == [2, 3, 3]  # the failed one has no score
    best = max(drawn, key=lambda x: x.get_linewidth())
    assert best.get_ydata()[-1] == 1
    assert path.read_bytes().startswith(b"\x89PNG")


def test_parallel_coordinates_of_failures_alone():
    rows = [{**row, "score": None} for row in ROWS]
    figure = tuning.plot_parallel_coordinates(rows, ["rate"], "accuracy")
    assert len(figure.axes[0].get_xticklabels()) == 1


def test_parallel_coordinates_of_one_trial():
    figure = tuning.plot_parallel_coordinates(ROWS[:1], ["rate"], "accuracy")
    assert len(figure.axes[0].get_xticklabels()) == 1


def test_parallel_coordinates_refuse_no_trial():
    with pytest.raises(ValueError, match="no trial"):
        tuning.plot_parallel_coordinates([], ["rate"], "accuracy")


def test_numbers_lie_where_they_should():
    rows = [{"n": n, "score": n / 4} for n in (4, 3, 2)]
    figure = tuning.plot_parallel_coordinates(rows, ["n"], "accuracy")
    lines = [x for x in figure.axes[0].lines if x.get_zorder() == 3]
    heights = sorted(float(line.get_ydata()[0]) for line in lines)
    assert heights == pytest.approx([0, 0.5, 1], abs=0.021)


def test_rows_as_csv(tmp_path):
    tuning.write_rows(ROWS, tmp_path / "trials.csv")
    with open(tmp_path / "trials.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["trial"] for row in read] == ["1", "0", "2"]
    assert read[2]["score"] == ""
    assert float(read[0]["rate"]) == 0.01


def test_table_puts_errors_below_their_rows():
    rows = [
        {"trial": "0", "score": None, "error": "first"},
        {"trial": "1", "score": None, "error": "second"},
    ]
    assert tuning.format_rows(rows).splitlines() == [
        "trial  score",
        "0      -",
        "       first",
        "1      -",
        "       second",
    ]
