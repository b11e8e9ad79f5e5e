import sys

import pytest

from glomo_keras import tuning


def test_public_names():
    assert tuning.__all__ == [
        "GraphHyperModel",
        "context_space",
        "make_tuner",
        "mixture_space",
        "plot_trials",
        "trial_table",
    ]
    assert all(hasattr(tuning, name) for name in tuning.__all__)


@pytest.mark.parametrize("name", ["GraphHyperModel", "make_tuner"])
def test_without_keras_tuner_it_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_tuner", None)
    for module in ("graph_hyper_model", "tuners"):
        monkeypatch.delitem(
            sys.modules, f"glomo_keras.tuning.{module}", raising=False
        )
    with pytest.raises(ModuleNotFoundError, match=r"glomo-keras\[tuner\]"):
        getattr(tuning, name)
    assert callable(tuning.mixture_space)


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match="no attribute 'tuner'"):
        _ = tuning.tuner
