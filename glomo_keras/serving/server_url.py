"""The address of a server and of the model on it."""

import re
import typing
import urllib.parse

SCHEMES = ("http", "https", "grpc", "grpcs")
_MODEL = re.compile(
    r"(?P<model>[^/:]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?::predict)?/?"
)


class ServerUrl(typing.NamedTuple):
    """A URL in parts.

    `host` is host and port with what stands before an `@`; `path` goes before
    `/v1`, `query` after a `?`.
    """

    scheme: str
    host: str
    path: str
    query: str
    model: str | None
    version: int | None
    label: str | None


class Connection(typing.NamedTuple):
    """The arguments of a transport.

    `server` is a `ServerUrl`; for the others see `GraphClient`.
    """

    server: ServerUrl
    model: str
    version: int | None
    version_label: str | None
    timeout: float
    retries: int
    headers: dict
    root_certificates: str | None
    client_certificate: tuple | None


def parse(url):
    """Reads the URL of a server, with or without `/v1/models/NAME...`.

    Args:
        url: String; `HOST:PORT` is gRPC.

    Raises:
        ValueError: If it is no such URL.
    """
    whole = url if "://" in url else f"grpc://{url}"
    parts = urllib.parse.urlsplit(whole)
    path, asks_for, name = parts.path.rstrip("/").partition("/v1/models/")
    match = _MODEL.fullmatch(name)
    fine = parts.scheme in SCHEMES and parts.netloc and " " not in whole
    if parts.scheme.startswith("grpc") and (parts.query or "@" in parts.netloc):
        fine = False
    if not fine or bool(asks_for) != bool(match):
        raise ValueError(
            "`url` is http://HOST:PORT, https://..., grpc://HOST:PORT, "
            "grpcs://... or HOST:PORT, and may go on with /v1/models/NAME, "
            "/versions/N or /labels/LABEL, and over HTTP with ?KEY=VALUE. "
            f"Received: url={url!r}"
        )
    found = match.groupdict() if match else dict.fromkeys(_MODEL.groupindex)
    return ServerUrl(
        scheme=parts.scheme,
        host=parts.netloc,
        path=re.sub(r"(/v1(/models)?)?$", "", path),
        query=parts.query,
        model=found["model"] and urllib.parse.unquote(found["model"]),
        version=found["version"] and int(found["version"]),
        label=found["label"] and urllib.parse.unquote(found["label"]),
    )
