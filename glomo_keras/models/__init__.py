"""The models of GLoMo; each runs on TensorFlow, JAX and PyTorch."""

from glomo_keras.models.context_pretrainer import ContextPretrainer
from glomo_keras.models.coupled_graph_predictor import CoupledGraphPredictor
from glomo_keras.models.feature_predictor import FeaturePredictor
from glomo_keras.models.given_graphs import GivenGraphs
from glomo_keras.models.graph_predictor import GraphPredictor
from glomo_keras.models.image_classifier import ImageClassifier
from glomo_keras.models.image_graph_predictor import ImageGraphPredictor
from glomo_keras.models.pair_classifier import PairClassifier
from glomo_keras.models.pixel_pretrainer import PixelPretrainer
from glomo_keras.models.predicted_graphs import PredictedGraphs
from glomo_keras.models.pretrained_features import PretrainedFeatures
from glomo_keras.models.skip_thought_pretrainer import SkipThoughtPretrainer
from glomo_keras.models.span_reader import SpanReader
from glomo_keras.models.text_classifier import TextClassifier
from glomo_keras.models.token_classifier import TokenClassifier
from glomo_keras.models.transfer_probe import TransferProbe

__all__ = [
    "ContextPretrainer",
    "CoupledGraphPredictor",
    "FeaturePredictor",
    "GivenGraphs",
    "GraphPredictor",
    "ImageClassifier",
    "ImageGraphPredictor",
    "PairClassifier",
    "PixelPretrainer",
    "PredictedGraphs",
    "PretrainedFeatures",
    "SkipThoughtPretrainer",
    "SpanReader",
    "TextClassifier",
    "TokenClassifier",
    "TransferProbe",
]
