"""The client: what it sends, what it returns, and servers that fail."""

import json
import shutil
import subprocess
import time

import numpy as np
import pytest

from glomo_keras.serving import GraphClient
from glomo_keras.serving import ServingError
from tests.serving import faulty_servers

TEXTS = ["the cat"]
ANSWER = {"length": [1]}
FINE = faulty_servers.answer(ANSWER)
BUSY = (503, b'{"error": "said busy"}')
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "no_grpc_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Paths of a certificate for 127.0.0.1 and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-days", "2"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", paths[0], "-keyout", paths[1]),
        ],
        check=True,
        capture_output=True,
    )
    return paths


def sent(request):
    return json.loads(request.body)["inputs"]


# What is sent.


def test_rest_sends_the_signature_and_the_texts_by_name():
    with faulty_servers.rest([FINE]) as (url, requests):
        with GraphClient(url) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    assert json.loads(requests[0].body) == {
        "signature_name": "edges",
        "inputs": {"text": TEXTS},
    }


def test_grpc_sends_the_signature_and_the_texts_by_name():
    with faulty_servers.prediction_service(["OK"]) as (url, requests):
        with GraphClient(url) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    request, _ = requests[0]
    assert request.model_spec.name == "glomo_small_en"
    assert request.model_spec.signature_name == "edges"
    assert list(request.inputs["text"].string_val) == [b"the cat"]


def test_ids_go_with_a_mask_or_with_a_length():
    ids = [[1, 2], [3, 0]]
    with faulty_servers.rest([FINE, FINE]) as (url, requests):
        with GraphClient(url) as client:
            mask = [[True, True], [True, False]]
            client.graphs({"token_ids": ids, "padding_mask": mask})
            client.graphs({"token_ids": ids, "length": [2, 1]})
    names = [json.loads(x.body)["signature_name"] for x in requests]
    assert names == ["from_ids", "from_ids_and_length"]
    assert sent(requests[1]) == {"token_ids": ids, "length": [2, 1]}


@pytest.mark.parametrize(
    "given", [TEXTS * 3, {"images": np.ones((3, 2, 2, 3), "uint8")}]
)
@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 4), (3, 2, 4)])
def test_every_input_has_a_row_for_each_text(given, shape):
    weights = np.arange(np.prod(shape)).reshape(shape)
    wanted = np.broadcast_to(weights, (3, 2, 4)).tolist()
    with faulty_servers.rest([FINE, FINE]) as (url, requests):
        with GraphClient(url, batch_size=2) as client:
            client.mixture(given, weights)
    assert [len(x) for r in requests for x in sent(r).values()] == [2, 2, 1, 1]
    assert sent(requests[0])["weights"] == wanted[:2]
    assert sent(requests[1])["weights"] == wanted[2:]


def test_one_row_of_any_input_is_repeated():
    with faulty_servers.rest([FINE]) as (url, requests):
        with GraphClient(url) as client:
            client.predict("mine", {"text": TEXTS * 2, "temperature": [0.5]})
    assert sent(requests[0])["temperature"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("url", "options", "place"),
    [
        ("{}", {}, "/v1/models/glomo_small_en:predict"),
        ("{}/", {}, "/v1/models/glomo_small_en:predict"),
        ("{}/v1/models/", {}, "/v1/models/glomo_small_en:predict"),
        ("{}/v1", {"model": "a b/c"}, "/v1/models/a%20b%2Fc:predict"),
        ("{}/v1/models/a%20b", {}, "/v1/models/a%20b:predict"),
        ("{}/a/v1/models", {}, "/a/v1/models/glomo_small_en:predict"),
        ("{}/in/ner", {"model": "x"}, "/in/ner/v1/models/x:predict"),
        ("{}/v1/models/x/versions/3:predict", {}, "/v1/models/x/versions/3"),
        (
            "{}/v1/models/x/versions/3",
            {"version": 4},
            "/v1/models/x/versions/4",
        ),
        ("{}/v1/models/x/labels/new", {}, "/v1/models/x/labels/new:predict"),
        (
            "{}",
            {"version_label": "a/b"},
            "/v1/models/glomo_small_en/labels/a%2Fb",
        ),
        (
            "{}/v1/models/x/versions/3",
            {"version_label": "new"},
            "/v1/models/x/labels/new:predict",
        ),
        ("{}?key=a%20b&x=1", {}, ":predict?key=a%20b&x=1"),
        ("{}/v1/models/x:predict?key=1", {}, "/v1/models/x:predict?key=1"),
    ],
)
def test_rest_asks_at_the_place_of_the_url(url, options, place):
    with faulty_servers.rest([FINE]) as (server, requests):
        with GraphClient(url.format(server), **options) as client:
            client.edges(TEXTS)
    path = requests[0].path
    assert path.startswith(place) or path.endswith(place)


@pytest.mark.parametrize(
    ("path", "options", "version", "label"),
    [
        ("", {}, 0, ""),
        ("", {"version": np.int64(3)}, 3, ""),
        ("/v1/models/x/versions/3", {}, 3, ""),
        ("/v1/models/x/labels/new", {}, 0, "new"),
        ("", {"version_label": "stable"}, 0, "stable"),
    ],
)
def test_grpc_asks_for_a_version_or_a_label(path, options, version, label):
    with faulty_servers.prediction_service(["OK"]) as (url, requests):
        with GraphClient(url + path, **options) as client:
            client.edges(TEXTS)
    spec = requests[0][0].model_spec
    assert (spec.version.value, spec.version_label) == (version, label)


def test_headers_are_http_headers_or_metadata():
    headers = {"Authorization": "Bearer abc", "X-Who": "me"}
    with faulty_servers.rest([FINE]) as (url, requests):
        with GraphClient(url, headers=headers) as client:
            client.edges(TEXTS)
    assert requests[0].headers["Authorization"] == "Bearer abc"
    assert requests[0].headers["Content-Type"] == "application/json"
    with faulty_servers.prediction_service(["OK"]) as (url, requests):
        with GraphClient(url, headers=headers) as client:
            client.edges(TEXTS)
    _, metadata = requests[0]
    assert metadata["authorization"] == "Bearer abc"
    assert metadata["x-who"] == "me"


def test_certificates_are_trusted_where_given(certificate):
    path = str(certificate[0])
    with faulty_servers.rest([FINE], certificate) as (url, _):
        with GraphClient(url, retries=0) as client:
            with pytest.raises(ConnectionError, match="(?i)certificate"):
                client.edges(TEXTS)
        with GraphClient(
            url, root_certificates=path, client_certificate=certificate
        ) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    with faulty_servers.prediction_service(["OK"], certificate) as (url, _):
        with GraphClient(url, retries=0, timeout=5) as client:
            with pytest.raises(ConnectionError):
                client.edges(TEXTS)
        with GraphClient(
            url, root_certificates=path, client_certificate=certificate
        ) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]


def test_certificates_without_encryption_are_refused():
    with pytest.raises(ValueError, match="Received: a URL with http://"):
        GraphClient(NOWHERE, root_certificates="a.pem")


# What comes back.


def test_positions_that_a_batching_server_added_are_cut():
    """Two texts of 2 and 1 tokens, in a batch with one of 4."""
    wide = {
        "tokens": [["a", "b", "", ""], ["a", "", "", ""]],
        "token_offsets": np.zeros((2, 4, 2), int).tolist(),
        "length": [2, 1],
        "forward_graphs": np.zeros((2, 1, 1, 4, 4)).tolist(),
        "backward_mixture": np.zeros((2, 4, 4)).tolist(),
        "forward_edge_sources": np.zeros((2, 1, 1, 4, 8), int).tolist(),
        "forward_edge_weights": np.zeros((2, 1, 1, 4, 8)).tolist(),
    }
    with faulty_servers.rest([faulty_servers.answer(wide)]) as (url, _):
        with GraphClient(url) as client:
            answer = client.edges(["a b", "a"])
    assert {name: array.shape for name, array in answer.items()} == {
        "tokens": (2, 2),
        "token_offsets": (2, 2, 2),
        "length": (2,),
        "forward_graphs": (2, 1, 1, 2, 2),
        "backward_mixture": (2, 2, 2),
        "forward_edge_sources": (2, 1, 1, 2, 8),
        "forward_edge_weights": (2, 1, 1, 2, 8),
    }


def test_graphs_of_ids_are_as_wide_as_the_ids():
    wide = {"forward_graphs": np.zeros((1, 1, 1, 7, 7)).tolist()}
    with faulty_servers.rest([faulty_servers.answer(wide)]) as (url, _):
        with GraphClient(url) as client:
            answer = client.graphs({"token_ids": [[1, 2, 0]], "length": [2]})
    assert answer["forward_graphs"].shape == (1, 1, 1, 3, 3)


def test_batches_are_padded_as_a_server_pads_them():
    first = {
        "tokens": [["a"]],
        "length": [1],
        "forward_edge_sources": [[[[[0]]]]],
        "forward_edge_weights": [[[[[0.5]]]]],
    }
    second = {
        "tokens": [["b", "c"]],
        "length": [2],
        "forward_edge_sources": [[[[[0], [1]]]]],
        "forward_edge_weights": [[[[[0.5], [0.25]]]]],
    }
    answers = [faulty_servers.answer(x) for x in (first, second)]
    with faulty_servers.rest(answers) as (url, _):
        with GraphClient(url, batch_size=1) as client:
            answer = client.edges(["a", "b c"])
    assert answer["tokens"].tolist() == [["a", ""], ["b", "c"]]
    assert answer["length"].tolist() == [1, 2]
    sources = answer["forward_edge_sources"]
    assert sources[..., 0].tolist() == [[[[0, -1]]], [[[0, 1]]]]
    weights = answer["forward_edge_weights"]
    assert weights[..., 0].tolist() == [[[[0.5, 0]]], [[[0.5, 0.25]]]]


# Servers that fail.


@pytest.mark.parametrize(
    "fault", [BUSY, (429, b""), (502, b""), (504, b""), None]
)
def test_rest_is_tried_again_after_a_transient_fault(fault):
    with faulty_servers.rest([fault, fault, FINE]) as (url, requests):
        with GraphClient(url, retries=2) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    assert len(requests) == 3
    assert requests[0].body == requests[2].body


def test_grpc_is_tried_again_after_a_transient_fault():
    codes = ["UNAVAILABLE", "UNAVAILABLE", "OK"]
    with faulty_servers.prediction_service(codes) as (url, requests):
        with GraphClient(url, retries=2) as client:
            assert client.edges(TEXTS)["length"].tolist() == [1]
    assert len(requests) == 3


def test_rest_gives_up_and_says_what_the_server_said():
    with faulty_servers.rest([BUSY, BUSY]) as (url, requests):
        with GraphClient(url, retries=1) as client:
            with pytest.raises(ServingError, match="503: said busy") as error:
                client.edges(TEXTS)
    assert error.value.code == 503
    assert len(requests) == 2


def test_grpc_gives_up_and_says_what_the_server_said():
    with faulty_servers.prediction_service(["UNAVAILABLE"] * 2) as (url, seen):
        with GraphClient(url, retries=1) as client:
            with pytest.raises(ConnectionError, match="said UNAVAILABLE"):
                client.edges(TEXTS)
    assert len(seen) == 2


def test_refusals_are_not_tried_again():
    refusal = (400, b'{"error": "said no"}')
    with faulty_servers.rest([refusal]) as (url, requests):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="400: said no"):
                client.edges(TEXTS)
    assert len(requests) == 1
    codes = ["INVALID_ARGUMENT"]
    with faulty_servers.prediction_service(codes) as (url, requests):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="said INVALID") as error:
                client.edges(TEXTS)
    assert error.value.code == "INVALID_ARGUMENT"
    assert len(requests) == 1


def test_time_limit_ends_a_request_that_is_not_tried_again():
    start = time.perf_counter()
    with faulty_servers.rest(["slow"]) as (url, requests):
        with GraphClient(url, timeout=0.3) as client:
            with pytest.raises(TimeoutError, match="longer than 0.3 s"):
                client.edges(TEXTS)
        assert time.perf_counter() - start < faulty_servers.SLOW
    assert len(requests) == 1
    with faulty_servers.prediction_service(["slow"]) as (url, requests):
        with GraphClient(url, timeout=0.3) as client:
            with pytest.raises(TimeoutError, match="longer than 0.3 s"):
                client.edges(TEXTS)
    assert len(requests) == 1


@pytest.mark.parametrize("url", [NOWHERE, "grpc://127.0.0.1:1"])
def test_no_server_is_a_connection_error(url):
    with GraphClient(url, retries=1, timeout=5) as client:
        with pytest.raises(ConnectionError, match="127.0.0.1:1.* be reached"):
            client.edges(TEXTS)


def test_messages_leave_keys_and_passwords_out():
    url = "http://me:secret1@127.0.0.1:1?key=secret2"
    with GraphClient(url, retries=0) as client:
        with pytest.raises(ConnectionError) as error:
            client.edges(TEXTS)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "body", [b"<html>a proxy</html>", b"[1]", b'{"predictions": [1]}']
)
def test_answer_in_another_format_is_shown(body):
    with faulty_servers.rest([(200, body)]) as (url, _):
        with GraphClient(url) as client:
            with pytest.raises(ServingError, match="answered 200: .+"):
                client.edges(TEXTS)


# Wrong arguments.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host:1",
        "http://",
        "http:///v1/models/x",
        "host:1 2/",
        "host:1?key=1",
        "grpc://me:secret@host:1",
        "http://host/v1/models/x/versions/-1",
        "http://host/v1/models/x/versions/1.5",
        "http://host/v1/models/x/labels/",
    ],
)
def test_wrong_url_is_refused(url):
    with pytest.raises(ValueError, match="Received: url="):
        GraphClient(url)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": 5},
        {"retries": 1.5},
        {"retries": True},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"batch_size": True},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": True},
        {"timeout": "1"},
        {"version": -1},
        {"version": 1.5},
        {"version": True},
        {"version": "1"},
        {"version": 2**63},
        {"version_label": ""},
        {"version_label": 1},
        {"version_label": "new", "version": 1},
    ],
)
def test_wrong_number_is_refused(scheme, options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"Received: {name}="):
        GraphClient(f"{scheme}://127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"Received: rows {'text': 0}"),
        ("the cat", "Received: a text of type str"),
        ([3], "Received: 3 of type int"),
        (
            {"token_ids": [[1]] * 3, "padding_mask": [[True]] * 2},
            "Received: rows {'token_ids': 3, 'padding_mask': 2}",
        ),
        ({"token_ids": [[1]]}, r"Received: names \['token_ids'\]"),
        (
            {"images": np.full((1, 1, 2, 3), 0.5)},
            "`images` must have an integer dtype.*float64, values from 0.5 to",
        ),
        (
            {"images": np.full((1, 1, 2, 3), 256)},
            "`images` must have.* fit in uint8.*int64, values from 256 to 256",
        ),
        (
            {"token_ids": [[2**32 + 5]], "length": [1]},
            "`token_ids` must have an integer dtype and values that fit in int",
        ),
        ({"token_ids": [[5]], "length": [0.9]}, "`length` must have an integ"),
        ({"images": np.full((1, 1, 2, 3), np.nan)}, "values from nan to nan"),
    ],
)
def test_wrong_inputs_are_refused_before_they_are_sent(given, message):
    with GraphClient(NOWHERE) as client:
        with pytest.raises(ValueError, match=message):
            client.graphs(given)


def test_no_inputs_are_refused():
    with GraphClient(NOWHERE) as client:
        with pytest.raises(ValueError, match="Received: rows {}"):
            client.predict("serving_default", {})
