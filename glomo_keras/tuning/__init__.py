"""Searches with KerasTuner for how a task uses graphs.

`mixture_space`, `context_space` and `layer_ranges` say what can be tried and
need nothing installed. recipes.search searches with them.
"""

from glomo_keras.tuning.spaces import context_space
from glomo_keras.tuning.spaces import layer_ranges
from glomo_keras.tuning.spaces import mixture_space

__all__ = ["context_space", "layer_ranges", "mixture_space"]
