"""Files written whole or not at all, checksums, JSON, hidden files."""

import os

import pytest

from glomo_keras.utils import files
from glomo_keras.utils.files import atomic_file


def test_atomic_file_keeps_the_old_one_on_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_file(path) as file:
        file.write("half")
        raise KeyError
    assert path.read_text() == "old"
    with atomic_file(path) as file:
        file.write("new\n")
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shared", [False, True])
def test_atomic_path_leaves_nothing_behind(tmp_path, shared):
    path = tmp_path / "file"
    with files.atomic_path(path, shared) as temporary:
        temporary.write_text("new")
        assert (temporary.name == "file.tmp") != shared
    with pytest.raises(KeyError), files.atomic_path(path, shared) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_read_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.json"
    text = files.write_json(path, {"a": ["é", 1]})
    assert path.read_text() == text + "\n"
    assert files.read_json(path) == {"a": ["é", 1]}
    path.write_text(text, "utf-8-sig")
    assert files.read_json(path) == {"a": ["é", 1]}


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}", b"[" * 10**5])
def test_what_is_not_json_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="a.json(, line 1,)? is not JSON.*Received: b'"
    ):
        files.read_json(path)
    assert files.read_json_or_none(path) is None
    assert files.read_json_or_none(tmp_path / "none") is None


def test_a_changed_file_is_found_out(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    record = files.file_record(path)
    assert files.find_fault(tmp_path, record) is None
    os.utime(path, ns=(0, 0))
    assert files.find_fault(tmp_path, record) is None
    assert record["mtime_ns"] == 0
    path.write_text("two")
    assert "another content" in files.find_fault(tmp_path, record)
    path.write_text("three")
    assert files.find_fault(tmp_path, record) == "has 5 bytes, not 3"
    path.unlink()
    assert files.find_fault(tmp_path, record) == "is missing"


def test_links_are_followed_into_each_folder_once(tmp_path):
    for name in ("a/b/x", "other/y"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/b/out").symlink_to(tmp_path)
    (tmp_path / "a/a").symlink_to(tmp_path / "a/b")
    (tmp_path / "a/c").symlink_to(tmp_path / "other")
    (tmp_path / "a/d").symlink_to(tmp_path / "other")
    found = files.files_below(tmp_path / "a")
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["a/b/x", "a/c/y"]


def test_hidden_files_are_left_out(tmp_path):
    hidden = (".DS_Store", "__MACOSX/._b", ".x/c", "b/._c", "b/thumbs.db")
    more = ("@eaDir/a", "lost+found/a", "b/Icon\r", "b/~$c")
    for name in ("z", "b/c", "b/a", *hidden, *more):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [os.path.relpath(p, tmp_path) for p in files.files_below(tmp_path)]
    assert found == ["z", "b/a", "b/c"]
