"""Where a server is, and what it is asked for."""

import re
import typing
import urllib.parse

SCHEMES = ("http", "https", "grpc", "grpcs")
_MODEL = re.compile(r"([^/:]+)(?:/versions/(\d+))?(?::predict)?/?")


class ServerUrl(typing.NamedTuple):
    """A URL in parts: `host` is host and port, `path` goes before `/v1`."""

    scheme: str
    host: str
    path: str
    model: str | None
    version: int | None


def parse(url):
    """Reads the URL of a server, with or without `/v1`, `/v1/models/NAME...`.

    Args:
        url: string, `HOST:PORT` for gRPC.

    Raises:
        ValueError: if it is none.
    """
    whole = url if "://" in url else f"grpc://{url}"
    parts = urllib.parse.urlsplit(whole)
    path, asks_for, name = parts.path.rstrip("/").partition("/v1/models/")
    match = _MODEL.fullmatch(name)
    fine = parts.scheme in SCHEMES and parts.netloc and " " not in whole
    if not fine or bool(asks_for) != bool(match):
        raise ValueError(
            "`url` is http://HOST:PORT, https://..., grpc://HOST:PORT, "
            "grpcs://... or HOST:PORT, and may go on with /v1/models/NAME. "
            f"Received: url={url!r}"
        )
    path = re.sub(r"(/v1(/models)?)?$", "", path)
    model, version = match.groups() if match else (None, None)
    number = None if version is None else int(version)
    return ServerUrl(parts.scheme, parts.netloc, path, model, number)
