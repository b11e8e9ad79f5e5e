import numpy as np
import pandas
import pytest

from glomo_keras import tuning

VALUES = {
    "rate": [0.01, 0.001, 0.1],
    "place": ["rnn"] * 3,
    "p": [None, True, False],
}


def table(scores):
    count = len(scores)
    return pandas.DataFrame(
        {
            "trial": list("120")[:count],
            "status": "COMPLETED",
            "score": scores,
            "epoch": 1,
            **{name: values[:count] for name, values in VALUES.items()},
            "error": None,
        }
    )


def drawn_lines(figure):
    """The lines of the trials, the best first."""
    (canvas,) = figure.axes
    lines = [x for x in canvas.lines if x.get_zorder() == 3]
    return sorted(lines, key=lambda x: -x.get_linewidth())


def axis_names(figure):
    return [text.get_text() for text in figure.axes[0].get_xticklabels()]


def test_every_trial_is_a_line_through_its_values(tmp_path):
    path = tmp_path / "figures" / "trials.png"
    figure = tuning.plot_trials(
        table([0.9, 0.5, np.nan]), "accuracy", "A search", path
    )
    assert axis_names(figure) == ["rate", "p", "accuracy"]
    best, second, failed = drawn_lines(figure)
    assert best.get_ydata()[-1] == 1
    assert second.get_ydata()[-1] == 0
    assert np.isnan(failed.get_ydata()[-1])
    assert failed.get_linestyle() == "--"
    rates = [line.get_ydata()[0] for line in (best, second, failed)]
    assert rates == pytest.approx([0.5, 0, 1], abs=0.021)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_failures_alone_have_no_score_to_draw():
    figure = tuning.plot_trials(table([np.nan] * 3), "accuracy")
    assert axis_names(figure) == ["rate", "p", "accuracy"]
    assert len(drawn_lines(figure)) == 3


def test_one_trial_has_its_score_alone():
    figure = tuning.plot_trials(table([0.5]), "accuracy")
    assert axis_names(figure) == ["accuracy"]
    assert drawn_lines(figure)[0].get_ydata().tolist() == [1]


def test_no_trial_is_refused():
    with pytest.raises(ValueError, match="no trial"):
        tuning.plot_trials(table([]), "accuracy")
