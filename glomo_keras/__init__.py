"""GLoMo in Keras 3: relational graphs learned from unlabeled data.

Yang et al. 2018, "GLoMo: Unsupervisedly Learned Relational Graphs as
Transferable Representations".
"""

import importlib

from glomo_keras import layers
from glomo_keras import metrics
from glomo_keras import models
from glomo_keras.models import ContextPretrainer
from glomo_keras.models import FeaturePredictor
from glomo_keras.models import GraphPredictor
from glomo_keras.models import ImageClassifier
from glomo_keras.models import ImageGraphPredictor
from glomo_keras.models import PixelPretrainer

__version__ = "0.1.0"

__all__ = [
    "ContextPretrainer",
    "FeaturePredictor",
    "GraphPredictor",
    "ImageClassifier",
    "ImageGraphPredictor",
    "PixelPretrainer",
    "analysis",
    "data",
    "layers",
    "metrics",
    "models",
    "serving",
    "training",
    "tuning",
]

_IMPORTED_ON_USE = ("analysis", "data", "serving", "training", "tuning")


def __getattr__(name):
    if name in _IMPORTED_ON_USE:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
