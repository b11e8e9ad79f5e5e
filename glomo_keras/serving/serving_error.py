class ServingError(RuntimeError):
    """Reports that a server refused a request, or failed to answer it.

    The message ends in what the server said. A server that cannot be reached
    is a `ConnectionError`, one that takes too long a `TimeoutError`.

    Args:
        message: string.
        code: the HTTP status, such as 400, or the name of the gRPC status,
            such as `"INVALID_ARGUMENT"`.
    """

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code
