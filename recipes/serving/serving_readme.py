"""Runs the requests in `saved_models/README.md` and writes their answers there.

    python -m recipes.serving.serving_readme

Starts the local server on the models beside the README. Of each `console`
block it sends the `curl` commands, of each `pycon` block it runs the
statements; their answers take the place of those in the file. With `--check`
the file stays as it is, and the exit code is 1 if an answer is another:
numbers may differ by 1e-5, or by one in the last place printed, since
processors round differently. It takes seconds.
"""

import contextlib
import dataclasses
import difflib
import doctest
import io
import json
import pathlib
import re
import shlex
import sys

import tyro

from recipes.serving.local import LocalServer

BLOCK = re.compile(r"(?ms)^```(console|pycon)\n(.*?)^```$")
COMMAND = re.compile(r"(?ms)^\$ .*?\| jq -c '[^']*'$")
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]\d+)?")
REST, GRPC = "http://localhost:8501", "localhost:8500"
TOLERANCE = 1e-5


@dataclasses.dataclass
class Options:
    """Writes the answers to the requests in the README of the models."""

    folder: pathlib.Path = pathlib.Path("saved_models")
    """Folder of `README.md` and of the models."""
    check: bool = False
    """Write nothing; exit with 1 if an answer is another."""


def main(options):
    path = options.folder / "README.md"
    text = path.read_text("utf-8")
    with LocalServer(options.folder) as server:
        answered = answer(text, server.rest_url, server.grpc_url)
    if not options.check:
        path.write_text(answered, "utf-8")
        print(f"{path}: written")
    elif same(text, answered):
        print(f"{path}: all answers are those of the models")
    else:
        lines = [x.splitlines() for x in (text, answered)]
        print("\n".join(difflib.unified_diff(*lines, "written", "now")))
        sys.exit(1)


def answer(text, rest_url, grpc_url):
    """A text with the answers of a server in its blocks.

    Args:
        text: Markdown with requests to `REST` and `GRPC`.
        rest_url, grpc_url: where the server is in truth.
    """
    run = {"console": console_answers, "pycon": python_answers}

    def replaced(match):
        kind, block = match.groups()
        return f"```{kind}\n{run[kind](block, rest_url, grpc_url)}```"

    return BLOCK.sub(replaced, text)


def console_answers(block, rest_url, grpc_url):
    """The `curl` commands of a block, each with what it prints."""
    parts = []
    for command in COMMAND.findall(block):
        parts += [command, *send(command, rest_url)]
    return "\n".join(parts) + "\n"


def send(command, rest_url):
    """The lines that `curl -s -d BODY URL | jq -c FILTERS` prints."""
    import requests

    line = command.removeprefix("$ ").replace("\\\n", " ")
    words = shlex.split(line)
    if words[:3] != ["curl", "-s", "-d"] or words[5:8] != ["|", "jq", "-c"]:
        raise ValueError(
            "A command is `curl -s -d BODY URL | jq -c FILTERS`. "
            f"Received: {command}"
        )
    body, url, filters = words[3], words[4], words[8]
    response = requests.post(
        url.replace(REST, rest_url), body.encode(), timeout=60
    )
    document = response.json()
    return [
        json.dumps(picked(document, path), separators=(",", ":"))
        for path in filters.split(", ")
    ]


def picked(document, path):
    """What a path of jq finds, such as `.outputs.tokens[0]`."""
    for key, index in STEP.findall(path):
        document = document[key] if key else document[int(index)]
    return document


def python_answers(block, rest_url, grpc_url):
    """The statements of a block, each with what it prints."""
    names, parts = {}, []
    for example in doctest.DocTestParser().get_examples(block):
        source = example.source.replace(REST, rest_url).replace(GRPC, grpc_url)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "<README>", "single"), names)  # noqa: S102
        first, *others = example.source.splitlines()
        parts += [f">>> {first}", *(f"... {line}" for line in others)]
        parts += printed.getvalue().splitlines()
    return "\n".join(parts) + "\n"


def same(text, other):
    """Whether two texts differ in the last digits of numbers at most."""
    if _without_numbers(text) != _without_numbers(other):
        return False
    pairs = zip(NUMBER.findall(text), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= _tolerance(a, b) for a, b in pairs)


def _without_numbers(text):
    """The text but for decimal numbers, and for the blanks that align them."""
    return re.sub(" +", " ", NUMBER.sub("0.0", text))


def _tolerance(*numbers):
    """1e-5, or one in the last place of a number that is rounded to less."""
    places = max(len(number.partition(".")[2]) for number in numbers)
    return max(TOLERANCE, 1.01 * 10.0**-places)


if __name__ == "__main__":
    main(tyro.cli(Options))
