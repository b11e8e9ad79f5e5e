"""Servers that give prepared answers, and fail on purpose."""

import concurrent.futures
import contextlib
import http.server
import json
import ssl
import threading
import time
import types

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

SLOW = 2.0  # seconds


def answer(outputs):
    """Returns the status and the body of a REST answer."""
    return 200, json.dumps({"outputs": outputs}).encode()


@contextlib.contextmanager
def rest(answers, certificate=None):
    """Serves one prepared answer for each REST request, in turn.

    Args:
        answers: List of pairs of a status and a body in bytes; None closes
            the connection without an answer, `"slow"` takes `SLOW` seconds.
        certificate: Pair of the paths of a certificate and its key, or None.

    Yields:
        Its URL and a list, to which each request's path, headers and body are
        added.
    """
    left, requests = list(answers), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append(
                types.SimpleNamespace(
                    path=self.path, headers=self.headers, body=body
                )
            )
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
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    # To stop takes as long as it looks for that, 0.5 s where nothing is said.
    threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    ).start()
    scheme = "http" if certificate is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def prediction_service(codes, certificate=None):
    """Serves one status for each gRPC request, in turn.

    Args:
        codes: List of names of statuses; `"OK"` answers `length` [1], `"slow"`
            takes `SLOW` seconds.
        certificate: Pair of the paths of a certificate and its key, or None.

    Yields:
        Its URL, and a list, to which each request and its metadata are added
        as a pair.
    """
    left, requests = list(codes), []

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            requests.append((request, dict(context.invocation_metadata())))
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
    if certificate is None:
        scheme, port = "grpc", server.add_insecure_port("127.0.0.1:0")
    else:
        chain, key = (path.read_bytes() for path in certificate)
        credentials = grpc.ssl_server_credentials([(key, chain)])
        scheme = "grpcs"
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"{scheme}://127.0.0.1:{port}", requests
    finally:
        server.stop(None).wait()
