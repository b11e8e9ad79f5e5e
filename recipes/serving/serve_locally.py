"""Serves exported predictors on this machine, without TensorFlow Serving.

    python -m recipes.serving.serve_locally --models saved_models

A stand-in for `docker run tensorflow/serving`, to try a client where there is
no Docker: predict requests over REST (port 8501) and gRPC (port 8500), from
the models in the folder. For anything else use TensorFlow Serving, see
`saved_models/README.md`. It is ready after seconds, and runs until Ctrl-C.
"""

import dataclasses
import pathlib

import tyro

from recipes.serving.local import LocalServer


@dataclasses.dataclass
class Options:
    """Serves exported predictors on this machine."""

    models: pathlib.Path = pathlib.Path("saved_models")
    """Folder with NAME/VERSION/ of each model."""
    rest_port: int = 8501
    grpc_port: int = 8500
    host: str = "127.0.0.1"
    threads: int = 4
    """Requests that gRPC answers at the same time."""


def main(options):
    with LocalServer(
        options.models,
        rest_port=options.rest_port,
        grpc_port=options.grpc_port,
        host=options.host,
        num_threads=options.threads,
    ) as server:
        for name, versions in server.models.names().items():
            print(f"{name}: versions {', '.join(map(str, versions))}")
        print(f"REST {server.rest_url}, gRPC {server.grpc_url}", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            print("Stopped.")


if __name__ == "__main__":
    main(tyro.cli(Options))
