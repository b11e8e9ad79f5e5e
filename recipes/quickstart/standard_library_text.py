"""English text that every installation has: Python's documentation.

`write_texts` writes one text file per source: the topics of `help()`, the
docstrings of the standard library, and those of the installed dependencies
named in `PACKAGES`. Nothing is imported, the files are only parsed. A line is
a paragraph: the sentences of one topic or docstring that read as prose. Code,
tables, markup and sentences that occurred before are left out. The same
installation gives the same text.
"""

import ast
import contextlib
import gc
import inspect
import pathlib
import re
import sysconfig
import warnings

from glomo_keras.training import atomic_file

PACKAGES = ("keras", "matplotlib", "numpy", "tensorflow")
SKIPPED_FOLDERS = {
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "testing",
}
DOCUMENTED = (
    ast.Module,
    ast.ClassDef,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
)
# What ends a paragraph and is not prose: code between fences, underlined
# headings, numpydoc's `name : type`, `name: ` and the marks of lists.
NO_PROSE = re.compile(
    r"^\s*```(?s:.*?)(?:^\s*```|\Z)"
    r"|^.*\n\s*[-=~*]{3,}\s*$"
    r"|^\s*[\w*, ]+ : .*$"
    r"|^\s*[\w*.`]+(?: \([^)\n]*\))?:\s"
    r"|^\s*(?:[-*+]|\(?\w{1,2}[.)])\s",
    re.MULTILINE,
)
MARKS = re.compile(r":[a-z:]+:(?=`)|``|[`*\"]")
SENTENCE_END = re.compile(r"(?<=[a-z)][.?!])\s+(?=[A-Z])")
PROSE = re.compile(r"[A-Z](?:[A-Za-z0-9 ,;.'()/]|-(?!-)|:(?! [A-Z]))*[.?!]")
WORD = re.compile(r"\(?[A-Za-z]+(?:['-][A-Za-z]+)*\)?[,;:.?!]?")
MIN_WORDS = 4
MIN_WORD_SHARE = 0.8


def write_texts(folder, sources=None):
    """Writes one text file per source.

    A file that has the right content already is left alone, so that whatever
    was made from it stays valid.

    Args:
        folder: path, made if needed.
        sources: iterable of `(name, documents)`. Defaults to None, those of
            `installed_sources`.

    Returns:
        List of the paths.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    seen, paths = set(), []
    for name, documents in sources or installed_sources():
        print(f"reading {name}", flush=True)
        with without_collection():
            lines = [" ".join(sentences(text, seen)) for text in documents]
        paths.append(folder / f"{name}.txt")
        text = "".join(f"{line}\n" for line in lines if line)
        write_if_changed(paths[-1], text)
    return paths


@contextlib.contextmanager
def without_collection():
    """Stops the garbage collector, which slows down syntax trees."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write_if_changed(path, text):
    """Writes a text file, unless it holds this text already."""
    if not path.exists() or path.read_text("utf-8") != text:
        with atomic_file(path) as file:
            file.write(text)


def installed_sources(packages=PACKAGES):
    """Yields `(name, documents)` of each source that is installed.

    Args:
        packages: names of dependencies whose docstrings are used.
    """
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    yield "python_topics", topics(library / "pydoc_data" / "topics.py")
    yield "python_docstrings", folder_docstrings(library)
    for name in packages:
        folder = pathlib.Path(sysconfig.get_path("purelib")) / name
        if folder.is_dir():
            yield f"{name}_docstrings", folder_docstrings(folder)


def topics(path):
    """Yields the texts of `help()`, a dict of strings in the file."""
    if path.exists():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Dict):
                for text in node.values:
                    if isinstance(text, ast.Constant):
                        yield str(text.value)


def folder_docstrings(folder):
    """Yields the docstrings of the modules below a folder, in order."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if not SKIPPED_FOLDERS.intersection(parts):
            yield from docstrings(path)


def docstrings(path):
    """Yields the docstrings of a module as they stand in the file."""
    for node in statements(parse(path)):
        if isinstance(node, DOCUMENTED):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield text


def statements(node):
    """Yields a module and the statements in it; much faster than a walk."""
    yield node
    for name in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, name, ()):
            yield from statements(child)


def parse(path):
    """Returns the syntax tree, an empty one if the file cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in the sources
        try:
            return ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            return ast.Module([], [])


def sentences(text, seen):
    """Returns the sentences of a docstring that are prose and new.

    Args:
        text: string.
        seen: set of the sentences that occurred; the new ones are added.

    Returns:
        List of strings.
    """
    text = NO_PROSE.sub("\n\n", inspect.cleandoc(text))
    found = []
    for block in re.split(r"\n\s*\n", text):
        plain = " ".join(MARKS.sub("", block).split())
        for sentence in SENTENCE_END.split(plain):
            if sentence not in seen and is_prose(sentence):
                seen.add(sentence)
                found.append(sentence)
    return found


def is_prose(sentence):
    """Returns whether a line is a sentence rather than code or a table."""
    words = sentence.split()
    plain = sum(WORD.fullmatch(word) is not None for word in words)
    return (
        len(words) >= MIN_WORDS
        and PROSE.fullmatch(sentence) is not None
        and plain >= MIN_WORD_SHARE * len(words)
    )
