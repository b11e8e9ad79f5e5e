"""The client on servers that fail, and with wrong arguments."""

import json
import time

import pytest

from glomo_keras.serving import GraphClient
from glomo_keras.serving import ServingError
from tests.serving import faulty_servers

TRANSPORTS = ["rest", "grpc"]
FINE = (200, json.dumps({"outputs": {"length": [1]}}).encode())
BUSY = (503, b'{"error": "said busy"}')
TEXTS = ["the cat"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.mark.parametrize("fault", [BUSY, (502, b""), None])
def test_rest_is_tried_again_after_a_transient_fault(fault):
    with faulty_servers.rest([fault, fault, FINE]) as (url, bodies):
        with GraphClient(url, retries=2) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    assert len(bodies) == 3
    assert bodies[0] == bodies[2]
    assert json.loads(bodies[0]) == {
        "signature_name": "edges",
        "inputs": {"text": TEXTS},
    }


def test_grpc_is_tried_again_after_a_transient_fault():
    codes = ["UNAVAILABLE", "UNAVAILABLE", "OK"]
    with faulty_servers.prediction_service(codes) as (url, requests):
        with GraphClient(url, retries=2) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    assert len(requests) == 3
    assert requests[2].model_spec.signature_name == "edges"
    assert list(requests[2].inputs["text"].string_val) == [b"the cat"]


def test_rest_gives_up_and_says_what_the_server_said():
    with faulty_servers.rest([BUSY, BUSY]) as (url, bodies):
        with GraphClient(url, retries=1) as client:
            with pytest.raises(ServingError, match="503: said busy") as error:
                client.edges(TEXTS)
    assert error.value.code == 503
    assert len(bodies) == 2


def test_grpc_gives_up_and_says_what_the_server_said():
    with faulty_servers.prediction_service(["UNAVAILABLE"] * 2) as (url, seen):
        with GraphClient(url, retries=1) as client:
            with pytest.raises(ConnectionError, match="said UNAVAILABLE"):
                client.edges(TEXTS)
    assert len(seen) == 2


def test_what_is_not_transient_is_not_tried_again():
    refusal = (400, b'{"error": "said no"}')
    with faulty_servers.rest([refusal]) as (url, bodies):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="400: said no"):
                client.edges(TEXTS)
    codes = ["INVALID_ARGUMENT"]
    with faulty_servers.prediction_service(codes) as (url, requests):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="said INVALID") as error:
                client.edges(TEXTS)
    assert error.value.code == "INVALID_ARGUMENT"
    assert (len(bodies), len(requests)) == (1, 1)


def test_time_limit_ends_a_request_that_is_not_tried_again():
    start = time.perf_counter()
    with faulty_servers.rest(["slow"]) as (url, bodies):
        with GraphClient(url, timeout=0.3) as client:
            with pytest.raises(TimeoutError, match="longer than 0.3 s"):
                client.edges(TEXTS)
        assert time.perf_counter() - start < faulty_servers.SLOW
    with faulty_servers.prediction_service(["slow"]) as (url, requests):
        with GraphClient(url, timeout=0.3) as client:
            with pytest.raises(TimeoutError, match="longer than 0.3 s"):
                client.edges(TEXTS)
    assert (len(bodies), len(requests)) == (1, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "grpc://127.0.0.1:1"])
def test_no_server_is_a_connection_error(url):
    with GraphClient(url, retries=1, timeout=5) as client:
        with pytest.raises(ConnectionError, match="127.0.0.1:1.* be reached"):
            client.edges(TEXTS)


@pytest.mark.parametrize(
    "body", [b"<html>a proxy</html>", b"[1]", b'{"predictions": [1]}']
)
def test_answer_in_another_format_is_shown(body):
    with faulty_servers.rest([(200, body)]) as (url, _):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="answered 200: .+"):
                client.edges(TEXTS)


@pytest.mark.parametrize(
    "url", ["", "ftp://host:1", "http://", "http:///v1/models/x", "host:1 2/"]
)
def test_wrong_url_is_refused(url):
    with pytest.raises(ValueError, match="Received: url="):
        GraphClient(url)


@pytest.mark.parametrize(
    "options",
    [{"retries": -1}, {"retries": 5}, {"batch_size": 0}, {"timeout": 0}],
)
def test_wrong_number_is_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"Received: {name}="):
        GraphClient("http://127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://h:1", "http://h:1/v1/models/glomo_small_en:predict"),
        ("http://h/", "http://h/v1/models/glomo_small_en:predict"),
        ("http://h/v1/models/", "http://h/v1/models/glomo_small_en:predict"),
        ("http://h/v1", "http://h/v1/models/glomo_small_en:predict"),
        ("http://h/a/v1/models", "http://h/a/v1/models/glomo_small_en:predict"),
        (
            "https://h/in/ner",
            "https://h/in/ner/v1/models/glomo_small_en:predict",
        ),
        (
            "http://h/v1/models/x/versions/3:predict",
            "http://h/v1/models/x/versions/3:predict",
        ),
        ("http://h/p/v1/models/x/", "http://h/p/v1/models/x:predict"),
    ],
)
def test_url_of_rest(url, place):
    assert GraphClient(url)._transport.url == place
