"""Exports for TensorFlow Serving. Importing it does not need TensorFlow."""

from glomo_keras.serving.export import export_saved_model
from glomo_keras.serving.export_onnx import export_onnx

__all__ = ["export_onnx", "export_saved_model"]
