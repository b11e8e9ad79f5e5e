"""Exports for TensorFlow Serving. Importing it does not need TensorFlow."""

from glomo_keras.serving.export import export_saved_model

__all__ = ["export_saved_model"]
