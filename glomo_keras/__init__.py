"""GLoMo in Keras 3: relational graphs learned from unlabeled data.

Yang et al. 2018, "GLoMo: Unsupervisedly Learned Relational Graphs as
Transferable Representations".
"""

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
    "layers",
    "metrics",
    "models",
]
