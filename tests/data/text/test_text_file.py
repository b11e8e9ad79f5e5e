"""Parts of a file hold the texts of the whole."""

import json

import numpy as np

from glomo_keras.data import open_corpus


def test_parts_read_what_the_whole_file_has(tmp_path):
    rng = np.random.default_rng(0)
    plain = ["a b", "", "one more line of words", " ", "é" * 30, "x " * 40]
    wiki = ["<doc id=1>", "</doc>", *plain]
    for name, lines in (("wiki_00", wiki), ("a.txt", plain)):
        path = tmp_path / name
        body = [lines[i] for i in rng.integers(0, len(lines), 150)]
        path.write_text("\n".join([lines[0], *body]))
        for texts in ("line", "blank_line"):
            source = open_corpus(str(path), texts).sources[0]
            whole = [text for text in source.texts() if text.text.strip()]
            assert len(whole) > 20
            for num_bytes in (7, 100, 1000, 10**6):
                spans = source.spans(num_bytes)
                assert sum(size for *_, size in spans) == path.stat().st_size
                parts = [source.texts(*span) for *span, _ in spans]
                together = [text for part in parts for text in part]
                assert [t for t in together if t.text.strip()] == whole


def test_parts_of_json_read_what_the_whole_file_has(tmp_path):
    article = {"id": "1", "url": "u", "title": "A", "text": "some words"}
    lines = [json.dumps({**article, "text": "a b " * n}) for n in range(50)]
    (tmp_path / "wiki_00").write_text("\n".join(lines))
    source = open_corpus(str(tmp_path), "line").sources[0]
    spans = [(start, stop) for start, stop, _ in source.spans(500)]
    assert len(spans) > 5
    parts = [text for span in spans for text in source.texts(*span)]
    assert parts == list(source.texts())
