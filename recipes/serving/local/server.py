class LocalServer:
    """Serves a folder of SavedModels over REST and gRPC, in a `with` block.

    Args:
        folder: path of the folder of all models, `NAME/VERSION/` below it.
        rest_port, grpc_port: ports, 0 for any that is free.
        host: address to listen on.
        num_threads: int, requests that gRPC answers at the same time.

    Raises:
        OSError, RuntimeError: if a port is in use.
        ValueError: if there is no model.
    """

    def __init__(
        self, folder, rest_port=0, grpc_port=0, host="127.0.0.1", num_threads=4
    ):
        from recipes.serving.local import grpc_service
        from recipes.serving.local import rest_service
        from recipes.serving.local.served_models import ServedModels

        self.models = ServedModels(folder)
        self._rest = rest_service.start(self.models, host, rest_port)
        self._grpc, grpc_port = grpc_service.start(
            self.models, host, grpc_port, num_threads
        )
        self.rest_url = f"http://{host}:{self._rest.server_port}"
        self.grpc_url = f"{host}:{grpc_port}"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._grpc.stop(grace=None).wait()
        self._rest.shutdown()
        self._rest.server_close()

    def wait(self):
        """Serves until the process is told to stop."""
        self._grpc.wait_for_termination()
