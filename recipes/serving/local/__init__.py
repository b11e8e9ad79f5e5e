"""A stand-in for TensorFlow Serving in Python, to try a client out.

It answers predict requests over REST and gRPC in the same format, from the
same folder of SavedModels. It is a fraction of TensorFlow Serving: it loads
the versions that are there when it starts, and knows no batching, no metadata
and no other requests.
"""

from recipes.serving.local.server import LocalServer

__all__ = ["LocalServer"]
