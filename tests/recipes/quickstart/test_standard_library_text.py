"""Sentences from the documentation of Python."""

import textwrap

from recipes.quickstart import standard_library_text as recipe

DOCSTRING = """
    Return the reversed list of words.  The list is `copied` first, and
    its *order* is kept in a second list.

    >>> reverse(["a"])
    ["a"]

    Args:
        words: The words that are put in another order.
        key (str): A function that is called on every word.

    Notes
    -----
    order : {'C', 'F'}
        The order in which :class:`list` objects are read.

    ```python
    This sentence stands in a block of code.
    ```
    x = f(y) is what it does and nothing else.
    Return the reversed list of words.
"""


def module(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_sentences_keep_prose_and_leave_out_code():
    assert recipe.sentences(DOCSTRING, set()) == [
        "Return the reversed list of words.",
        "The list is copied first, and its order is kept in a second list.",
        "The words that are put in another order.",
        "A function that is called on every word.",
        "The order in which list objects are read.",
    ]


def test_sentences_occur_once():
    seen = set()
    recipe.sentences(DOCSTRING, seen)
    assert recipe.sentences(DOCSTRING, seen) == []


def test_docstrings_are_read_without_running_the_module(tmp_path):
    source = textwrap.dedent('''
        """Of the module."""
        raise RuntimeError
        if True:
            class A:
                """Of the class."""
                async def f(self):
                    """Of the method."""
        else:
            def g():
                """Of the function."""
    ''')
    path = module(tmp_path, "a.py", source)
    assert set(recipe.docstrings(path)) == {
        "Of the module.",
        "Of the class.",
        "Of the method.",
        "Of the function.",
    }


def test_files_that_are_no_python_are_skipped(tmp_path):
    module(tmp_path, "broken.py", "def (:")
    module(tmp_path, "zero.py", "\0")
    module(tmp_path, "tests/test_a.py", '"""Not of a test."""')
    module(tmp_path, "b.py", '"""Of b, in Latin letters."""')
    assert list(recipe.folder_docstrings(tmp_path)) == [
        "Of b, in Latin letters."
    ]


def test_topics_are_the_values_of_the_dict(tmp_path):
    path = module(tmp_path, "topics.py", "topics = {'a': 'One.', 'b': 'Two.'}")
    assert list(recipe.topics(path)) == ["One.", "Two."]
    assert list(recipe.topics(tmp_path / "missing.py")) == []


def test_texts_are_written_once(tmp_path):
    documents = ["The first of two sentences.", "x = 1", "This is the second."]
    sources = [("python", documents)]
    (path,) = recipe.write_texts(tmp_path / "new" / "folder", sources)
    written = path.stat().st_mtime_ns
    assert path.read_text("utf-8") == (
        "The first of two sentences.\nThis is the second.\n"
    )
    documents.append("x = 2")
    assert recipe.write_texts(path.parent, sources) == [path]
    assert path.stat().st_mtime_ns == written


def test_standard_library_gives_topics_and_docstrings():
    found = dict(recipe.installed_sources(packages=["no_such_package"]))
    assert set(found) == {"python_topics", "python_docstrings"}
    text = next(iter(found["python_topics"]))
    assert recipe.sentences(text, set())
