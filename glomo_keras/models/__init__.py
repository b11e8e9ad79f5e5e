"""The models of GLoMo; each runs on TensorFlow, JAX and PyTorch."""

from glomo_keras.models.context_pretrainer import ContextPretrainer
from glomo_keras.models.feature_predictor import FeaturePredictor
from glomo_keras.models.graph_predictor import GraphPredictor

__all__ = ["ContextPretrainer", "FeaturePredictor", "GraphPredictor"]
