"""Servers that fail on purpose."""

import concurrent.futures
import contextlib
import http.server
import threading
import time

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

SLOW = 2.0  # seconds


@contextlib.contextmanager
def rest(answers):
    """A REST server with one answer for each request, in turn.

    Args:
        answers: list of pairs of a status and a body in bytes; None closes
            the connection without an answer, `"slow"` takes `SLOW` seconds.

    Yields:
        Its URL and a list, to which each request's body is added.
    """
    left, bodies = list(answers), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            length = int(self.headers["Content-Length"])
            bodies.append(self.rfile.read(length))
            answer = left.pop(0)
            if answer == "slow":
                time.sleep(SLOW)
            elif answer is not None:
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def prediction_service(codes):
    """A gRPC service with one status for each request, in turn.

    Args:
        codes: list of names of statuses; `"OK"` answers `length` [1], `"slow"`
            takes `SLOW` seconds.

    Yields:
        Its address and a list, to which each request is added.
    """
    left, requests = list(codes), []

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            requests.append(request)
            code = left.pop(0)
            if code == "slow":
                time.sleep(SLOW)
            elif code != "OK":
                context.abort(grpc.StatusCode[code], f"said {code}")
            response = predict_pb2.PredictResponse()
            response.outputs["length"].CopyFrom(tf.make_tensor_proto([1]))
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Service(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", requests
    finally:
        server.stop(None).wait()
