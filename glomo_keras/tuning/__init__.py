"""Searches with KerasTuner for how a task uses graphs.

`mixture_space` and `context_space` declare what is tried, `GraphHyperModel`
and `make_tuner` search it, `trial_table` and `plot_trials` show the result.

KerasTuner is imported when it is first needed:
`pip install "glomo-keras[tuner]"`.
"""

import importlib

from glomo_keras.tuning.spaces import context_space
from glomo_keras.tuning.spaces import mixture_space
from glomo_keras.tuning.trials import plot_trials
from glomo_keras.tuning.trials import trial_table

__all__ = [
    "GraphHyperModel",
    "context_space",
    "make_tuner",
    "mixture_space",
    "plot_trials",
    "trial_table",
]

_NEED_KERAS_TUNER = {
    "GraphHyperModel": "graph_hyper_model",
    "make_tuner": "tuners",
}


def __getattr__(name):
    if name not in _NEED_KERAS_TUNER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(
            f"{__name__}.{_NEED_KERAS_TUNER[name]}"
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs KerasTuner and what it imports: "
            'pip install "glomo-keras[tuner]". '
            f"Received: {error}"
        ) from error
    return getattr(module, name)
