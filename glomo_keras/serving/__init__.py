"""Exports for TensorFlow Serving, a client of what it serves, and the edges
of whole corpora.

Importing it does not need TensorFlow.
"""

from glomo_keras.serving.export import export_saved_model
from glomo_keras.serving.export_onnx import export_onnx
from glomo_keras.serving.extract_edges import extract_edges
from glomo_keras.serving.extract_edges import extract_edges_on_beam
from glomo_keras.serving.graph_client import GraphClient
from glomo_keras.serving.serving_error import ServingError

__all__ = [
    "GraphClient",
    "ServingError",
    "export_onnx",
    "export_saved_model",
    "extract_edges",
    "extract_edges_on_beam",
]
