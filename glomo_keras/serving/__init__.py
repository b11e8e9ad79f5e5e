"""Exports for TensorFlow Serving, and a client of what it serves.

Importing it does not need TensorFlow.
"""

from glomo_keras.serving.export import export_saved_model
from glomo_keras.serving.export_onnx import export_onnx
from glomo_keras.serving.graph_client import GraphClient
from glomo_keras.serving.serving_error import ServingError

__all__ = ["GraphClient", "ServingError", "export_onnx", "export_saved_model"]
