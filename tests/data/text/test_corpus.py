"""Sources: files, folders, globs, WikiExtractor files, TFDS."""

import bz2
import gzip
import json
import lzma
import sys
import warnings

import numpy as np
import pytest

from glomo_keras.data import open_corpus
from glomo_keras.data import prepare_corpus
from glomo_keras.data.lines import placed_lines

LINE = "this line has more than five words"

WIKI = """<doc id="1" url="?curid=1" title="A &amp; B">
A & B

First paragraph of the first document here.
History.

</doc>
<doc id="2" url="?curid=2" title="Only a title">
Only a title

</doc>
<doc id="3" url="?curid=3" title="Say "x" > y">
Say "x" > y

Third document has one paragraph with text.
</doc>
"""


def read(*args, **kwargs):
    return [text for _, text in open_corpus(*args, **kwargs).texts()]


def test_wiki_documents_are_texts_without_titles(tmp_path):
    (tmp_path / "wiki_00").write_text(WIKI)
    assert read(str(tmp_path / "wiki_00")) == [
        "First paragraph of the first document here.",
        "Third document has one paragraph with text.",
    ]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("auto", [f"{LINE} {LINE}\n{LINE}"]),
        ("file", [f"{LINE} {LINE}\n{LINE}"]),
        ("line", [LINE] * 3),
        ("blank_line", [f"{LINE} {LINE}", LINE]),
    ],
)
def test_plain_files_are_cut_in_texts_as_asked(tmp_path, texts, expected):
    path = tmp_path / "a.txt"
    path.write_text(f"\n{LINE}\r\n{LINE}\n \n\n{LINE}\n")
    assert read(path, texts=texts) == expected


def test_large_plain_files_are_read_by_line(tmp_path):
    count = 2**20 // len(LINE)
    (tmp_path / "a.txt").write_text(f"{LINE}\n" * count)
    assert read(tmp_path / "a.txt") == [LINE] * count


def test_folders_globs_and_lists_are_read_once_in_order(tmp_path):
    hidden = (
        *(".hidden", "._a.txt", "~$a.txt"),
        *("__MACOSX/d.txt", "__macosx/d.txt", "sub/.ipynb/e.txt"),
    )
    for name in ("b.txt", "a.txt", "sub/c.txt", *hidden):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"{LINE} {name}")
    expected = [f"{LINE} {name}" for name in ("a.txt", "b.txt", "sub/c.txt")]
    assert read(tmp_path) == expected
    assert read(str(tmp_path / "**/*.txt")) == expected
    assert read(str(tmp_path / "*/*.txt")) == expected[2:]
    assert read(str(tmp_path / "**")) == expected
    assert read(str(tmp_path / "**/*")) == expected
    both = [str(tmp_path / "a.txt"), str(tmp_path / "*.txt")]
    assert read(both) == expected[:2]
    again = [str(tmp_path / "a.txt"), str(tmp_path / "sub/../a.txt")]
    assert read(again) == expected[:1]


def test_a_name_with_glob_characters_is_a_path(tmp_path):
    (tmp_path / "a[1].txt").write_text(LINE)
    assert read(tmp_path / "a[1].txt") == [LINE]


def test_compressed_files_are_unpacked(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(LINE.encode()))
    assert read(path) == [LINE]


def test_a_damaged_compressed_file_is_named(tmp_path):
    path = tmp_path / "a.txt.gz"
    data = gzip.compress(bytes(range(1, 256)) * 50)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match="a.txt.gz cannot be read"):
        read(path)


@pytest.mark.parametrize("module", [bz2, lzma])
def test_other_compressed_files_are_unpacked_or_named(tmp_path, module):
    path = tmp_path / {bz2: "wiki_00.bz2", lzma: "wiki_00.xz"}[module]
    path.write_bytes(module.compress(LINE.encode()))
    assert read(path) == [LINE]
    path.write_bytes(b"These are letters, not packed ones.")
    with pytest.raises(OSError, match=f"{path.name} cannot be read"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [LINE.encode("utf-16"), LINE.encode("utf-16-le")],
)
def test_what_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="a.txt, line 1, is no UTF-8.*at byte [1-5]$"
    ):
        read(path)


def test_a_zero_byte_within_a_text_is_a_character(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(f"{LINE}\n".encode() + b"one more\0 line of words here.")
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\n", "PDF"),
        (b"{\\rtf1\\ansi text}", "RTF"),
        (b"\x28\xb5\x2f\xfd text", "zstandard"),
        (b"PAR1 text", "Parquet"),
        (gzip.compress(b"text", mtime=0), "gzip"),
        (b'<?xml version="1.0"?>\n<a>text</a>', "XML"),
        (b'\n<mediawiki xmlns="x">\n<page>', "XML.*WikiExtractor"),
    ],
)
def test_documents_of_other_programs_are_named(tmp_path, content, kind):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.txt.*{kind}.*Received"):
        read(path)


def test_an_archive_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PK\x03\x04\x14\x00ab")
    with pytest.raises(ValueError, match="a.txt is a zip archive.*unpack"):
        read(tmp_path / "a.txt")


def article(**changes):
    fields = {"id": "1", "revid": "2", "url": "u", "title": "A", "text": LINE}
    return json.dumps({**fields, **changes})


def test_json_of_wikiextractor_is_read(tmp_path):
    path = tmp_path / "wiki_00"
    long = " ".join([LINE] * 50_000)  # more than a megabyte
    lines = [article(), "", article(text=f"A\n\n[[x|{LINE}]]\n{LINE} ()")]
    path.write_text("\n".join([*lines, article(text=long)]), "utf-8-sig")
    assert read(path) == [LINE, f"{LINE}\n{LINE}", long]


def test_half_a_character_of_json_is_replaced(tmp_path):
    path = tmp_path / "wiki_00"
    path.write_text(article(text=f"{LINE} \ud83d"), "utf-8")
    assert read(path) == [f"{LINE} ?"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"id": "1", "text": LINE}),
        json.dumps({"id": "1", "title": "A", "text": LINE}),
        f'{{ "text": "{LINE}" }}',
        f'{{\n  "text": "{LINE}"\n}}',
        f'[{{"text": "{LINE}"}}]',
        f'["{LINE}", "{LINE}"]',
        f'[\n"{LINE}"]',
        f"[1, 2]\n{LINE}",
        f"{article()}\n{LINE}",
        f"{article()}\n{article(text=None)}",
        article()[:-3],
        "{}",
    ],
)
def test_other_json_is_refused(tmp_path, content):
    path = tmp_path / "texts.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="texts.json, line [12]: JSON is read"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", LINE),
        ("a.tsv", LINE),
        ("a.txt", f"review,sentiment\n{LINE},1\n"),
        ("a.txt", f'"id"\t"text"\n1\t{LINE}\n'),
        ("a.csv.gz", f"id,text\n1,{LINE}"),
    ],
)
def test_a_table_is_refused(tmp_path, name, content):
    path = tmp_path / name
    packed = name.endswith("gz")
    data = content.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(ValueError, match=f"{name} holds a table.*texts='line'"):
        read(path)


@pytest.mark.parametrize(
    "first", ["[1] A note", "[[Paris]] is a city", "{{x}} y", "yes,no", '"Oh!"']
)
def test_prose_that_starts_oddly_is_read(tmp_path, first):
    path = tmp_path / "a.txt"
    path.write_text(f"{first}\n{LINE}")
    assert read(path) == [f"{first} {LINE}"]


def test_wiki_rules_are_for_wiki_sources(tmp_path):
    text = f"``{LINE}'' and f() of a[[1]]"
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "wiki_00").write_text(f"<doc id=1>\n{text}\n</doc>")
    assert read(tmp_path) == [text, f"``{LINE} and f of a1"]
    assert read(tmp_path, wiki=True) == [f"``{LINE} and f of a1"] * 2
    assert read(tmp_path, wiki=False)[1] == text


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no_such_file"):
        open_corpus([str(tmp_path / "no_such_file*")])
    with pytest.raises(ValueError, match="Received: spec="):
        open_corpus([])


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_named_and_skipped(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    (tmp_path / "b.txt").write_text(LINE)
    with pytest.warns(UserWarning, match="a.txt is empty"):
        assert read(tmp_path) == [LINE]


def test_broken_utf8_is_named_and_counted(tmp_path):
    path = tmp_path / "a.txt"
    good = f"{LINE} \ufffd\n".encode()
    path.write_bytes(good + b"a \xff\xe2\x82 b c d e f\n")
    message = f"a.txt is not valid UTF-8: .* byte {len(good) + 2}, 2 seq"
    with pytest.warns(UserWarning, match=message):
        assert read(path) == [f"{LINE} \ufffd a \ufffd\ufffd b c d e f"]


def test_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "a.txt").write_text(LINE, encoding="utf-8-sig")
    assert read(tmp_path) == [LINE]


@pytest.mark.parametrize("unit", ["ab ", "é", "€é ", "日本"])
def test_an_endless_line_is_cut_between_characters(tmp_path, unit):
    path = tmp_path / "a.txt"
    path.write_text(unit * 100 + "\n" + unit)
    pieces = [line for _, line in placed_lines(path, max_bytes=20)]
    assert "".join(pieces) == unit * 101
    assert max(len(piece.encode()) for piece in pieces) <= 40


def test_reading_goes_on_after_a_place(tmp_path):
    (tmp_path / "wiki_00").write_text(WIKI)
    (tmp_path / "x.txt").write_text(f"{LINE}\n{LINE}")
    corpus = open_corpus(tmp_path, texts="line")
    everything = list(corpus.texts())
    for number, (place, _) in enumerate(everything, 1):
        assert list(corpus.texts(place)) == everything[number:]


def test_unknown_text_unit_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text(LINE)
    with pytest.raises(ValueError, match="Received: texts='page'"):
        open_corpus(tmp_path, texts="page")


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """A prepared TFDS dataset, made without a network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tfds = pytest.importorskip("tensorflow_datasets")

        class TinyText(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {"text": tfds.features.Text(), "n": np.int32}
                    ),
                )

            def _split_generators(self, manager):
                return {"train": self._generate_examples(6)}

            def _generate_examples(self, count):
                for n in range(count):
                    yield n, {"text": f"{LINE} number {n}", "n": n}

        folder = tmp_path_factory.mktemp("tfds")
        TinyText(data_dir=str(folder)).download_and_prepare()
    return str(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_prepared_tfds_dataset_is_read(tfds_folder):
    whole = read("tfds:tiny_text", data_dir=tfds_folder)
    assert sorted(whole) == [f"{LINE} number {n}" for n in range(6)]
    part = read("tfds:tiny_text:1.0.0:train[:2]", data_dir=tfds_folder)
    assert part == whole[:2]
    corpus = open_corpus("tfds:tiny_text", data_dir=tfds_folder)
    assert len(list(corpus.texts((0, 4)))) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_tfds_dataset_is_tokenised_in_order(tfds_folder, tmp_path):
    spec = "tfds:tiny_text"
    corpus = prepare_corpus(
        spec,
        tmp_path,
        data_dir=tfds_folder,
        numbers="keep",
        validation_fraction=0,
        progress=False,
    )
    words = [
        " ".join(corpus.vocabulary[i] for i in corpus.train.text(n))
        for n in range(corpus.train.num_texts)
    ]
    assert words == read(spec, data_dir=tfds_folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tfds_faults_are_named(tfds_folder, monkeypatch):
    with pytest.raises(FileNotFoundError, match="tfds:lm1b is not prepared"):
        open_corpus("tfds:lm1b", data_dir=tfds_folder)
    with pytest.raises(ValueError, match="Received: split='valid'"):
        open_corpus("tfds:tiny_text:valid", data_dir=tfds_folder)
    with pytest.raises(ValueError, match="A TFDS spec reads"):
        open_corpus("tfds:", data_dir=tfds_folder)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="pip install tensorflow-datasets"):
        open_corpus("tfds:tiny_text", data_dir=tfds_folder)
