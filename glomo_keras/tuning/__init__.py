"""Searches with KerasTuner for how a task uses graphs.

What can be tried: `mixture_space`, `context_space`, `layer_ranges`. What is
searched with them: `GraphHyperModel`, `make_tuner`. What came out:
`trial_rows`, `plot_parallel_coordinates`. recipes.tuning.search puts them together.

KerasTuner is imported when it is first needed:
`pip install "glomo-keras[tuner]"`.
"""

import importlib

from glomo_keras.tuning.parallel_coordinates import plot_parallel_coordinates
from glomo_keras.tuning.spaces import context_space
from glomo_keras.tuning.spaces import layer_ranges
from glomo_keras.tuning.spaces import mixture_space
from glomo_keras.tuning.trial_rows import format_rows
from glomo_keras.tuning.trial_rows import trial_rows
from glomo_keras.tuning.trial_rows import write_rows

__all__ = [
    "GraphHyperModel",
    "context_space",
    "format_rows",
    "layer_ranges",
    "make_tuner",
    "mixture_space",
    "plot_parallel_coordinates",
    "trial_rows",
    "write_rows",
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
