"""Words, offsets, ids."""

import hashlib
import json
import os
import subprocess
import sys
import unicodedata

import pytest
import tensorflow as tf

from glomo_keras.data import WordTokenizer
from glomo_keras.data import write_vocabulary

VOCABULARY = ["<pad>", "<unk>", "the", "cat", "sat", ".", "N", "n't"]

DIFFICULT = [
    "",
    " \t\n ",
    "Don't stop, it's 3.5% of $1,000!",
    "we’ve CAN’T 'tis rock'n'roll O'Brien's",
    "cafe\u0301 naïve ÉCOLE İstanbul straße",
    "\u0301lone mark !\u0301 mark",
    "שלום, עולם! مرحبا بالعالم ٣٤",
    "❤️ 👨\u200d👩\u200d👧 ok👍🏽done 🇳🇱",
    "日本語のテキスト。한국어",
    "x\u00a0y\u2003z\u200bw\ufeffv\x00u a\u2028b\x85c",
    "\ufeffmark first",
    "_3.5_ a_b isn't_x v1.2.3 10,5,x 2B",
    "क्षत्रिय மலையாளം മലയാളം\u200d",
    "wait...what--no?!",
]


def strings(output):
    return [[t.decode() for t in row] for row in output["tokens"].to_list()]


def test_words_and_punctuation_are_split_like_the_treebank():
    tokens = strings(WordTokenizer().tokenize(DIFFICULT[2]))
    expected = "do n't stop , it 's 3.5 % of $ 1,000 !".split()
    assert tokens == [expected]


def test_number_mode_replaces_every_token_with_a_digit():
    tokenizer = WordTokenizer(numbers="N", lowercase=False)
    tokens = strings(tokenizer.tokenize(["On 1,000 B52s ٣٤ ... no Ⅳ"]))
    assert tokens == [["On", "N", "N", "N", ".", ".", ".", "no", "Ⅳ"]]


@pytest.mark.parametrize("text", DIFFICULT)
def test_offsets_cut_the_token_out_of_the_original(text):
    tokenizer = WordTokenizer(lowercase=False)
    output = tokenizer.tokenize([text])
    [offsets] = output["token_offsets"].to_list()
    assert [text[a:b] for a, b in offsets] == strings(output)[0]
    lowered = WordTokenizer().tokenize([text])["token_offsets"]
    assert lowered.to_list() == [offsets]


@pytest.mark.parametrize("text", DIFFICULT)
def test_tokens_leave_out_white_space_only(text):
    output = WordTokenizer(lowercase=False).tokenize([text])
    rest = "".join(strings(output)[0])
    dropped = set(text) - set(rest)
    assert all(c.isspace() or c in "\u200b\ufeff\x00" for c in dropped)


def test_offsets_of_a_batch_count_from_each_text():
    texts = ["é é", "", "a é b"]
    output = WordTokenizer().tokenize(texts)
    assert output["token_offsets"].to_list() == [
        [[0, 1], [2, 3]],
        [],
        [[0, 1], [2, 3], [4, 5]],
    ]


def test_offsets_count_in_the_replaced_text_for_broken_utf8():
    data = b"caf\xc3\xa9 \xff\xfe b\xe2\x82 d\xf0\x9f\x98 \xed\xa0\x80 end"
    text = data.decode("utf-8", "replace")
    output = WordTokenizer(lowercase=False).tokenize([data])
    [offsets] = output["token_offsets"].to_list()
    assert [text[a:b] for a, b in offsets] == strings(output)[0]
    assert text[offsets[-1][0] :] == "end"


def test_family_emoji_and_accented_letters_stay_whole():
    tokens = strings(WordTokenizer().tokenize(["❤️ e\u0301a !\u0301"]))
    assert tokens == [["❤️", "e\u0301a", "!\u0301"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("we’ve CAN’T 'tis rock'n'roll", "we ’ve CA N’T ' tis rock ' n ' roll"),
        ("_3.5_ isn't_x v1.2.3 10,5,x", "_ 3.5 _ isn ' t _ x v 1.2.3 10,5 , x"),
        ("❤️ 👨\u200d👩 ok👍🏽 🇳🇱", "❤️ 👨\u200d 👩 ok 👍 🏽 🇳 🇱"),
        ("日本語のテキスト。한국어", "日本語のテキスト 。 한국어"),
        ("x\u00a0y\u2003z\u200bw\ufeffv\x00u a\u2028b\x85c",
         "x y z w v u a b c"),
        ("Ankara'dır isn'tü it's", "Ankara ' dır isn ' tü it 's"),
        ("'s\u0301 it'sé l'Élysée", "' s\u0301 it ' sé l ' Élysée"),
    ],
)  # fmt: skip
def test_words_are_cut(text, expected):
    tokens = strings(WordTokenizer(lowercase=False).tokenize([text]))
    assert tokens == [expected.split(" ")]


NFC_TEXT = "Café naïve 한국어 don’t ‘quoted’ \u0344x"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_normalized_words_get_one_id_however_they_are_typed(form):
    words = ["café", "naïve", "한국어", "do", "n't", "'", "quoted"]
    vocabulary = ["<pad>", "<unk>", *words]
    tokenizer = WordTokenizer(vocabulary, normalize_unicode=True)
    text = unicodedata.normalize(form, NFC_TEXT)
    output = tokenizer([text, text.replace("’", "'").replace("‘", "'")])
    ids = output["token_ids"].numpy().tolist()
    assert ids == [[2, 3, 4, 5, 6, 7, 8, 7, 1]] * 2
    shown = [t.decode() for t in output["tokens"].numpy()[0][:-1]]
    assert shown == [*words[:6], "quoted", "'"]
    places = output["token_offsets"].numpy()[0]
    cut = [text[start:end] for start, end in places]
    assert "".join(cut) == text.replace(" ", "")
    plain = WordTokenizer(vocabulary)([text])["token_ids"].numpy()[0]
    assert plain[4] == 1 and (plain[0] == 2) == (form == "NFC")


@pytest.mark.parametrize(
    "typed",
    [
        "\u092c\u095c\u093e",  # Devanagari with a letter of its own
        "\u0645\u062d\u0651\u064e\u0645\u062f",  # Arabic, shadda first
        "ti\u00ea\u0301ng",  # Vietnamese in CP1258, tone last
        "\u01b0\u01a1\u0301c",
    ],
)
def test_words_typed_as_keyboards_do_are_known(typed):
    vocabulary = ["<pad>", "<unk>", unicodedata.normalize("NFC", typed)]
    assert typed != vocabulary[2]
    tokenizer = WordTokenizer(vocabulary, normalize_unicode=True)
    assert tokenizer([typed])["token_ids"].numpy().tolist() == [[2]]


def test_normalizing_survives_an_export_without_a_table(tmp_path):
    tokenizer = WordTokenizer(
        ["<pad>", "<unk>", "café"], normalize_unicode=True
    )
    module = tf.Module()
    module.normalize = tf.function(
        tokenizer.normalize, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    words = loaded.normalize(["cafe\u0301", "CAFÉ", "b", ""]).numpy()
    assert [w.decode() for w in words] == ["café", "café", "b", ""]


def test_call_pads_and_looks_up():
    tokenizer = WordTokenizer(VOCABULARY, numbers="N")
    output = tokenizer(["The cat sat 12.", "dog"])
    assert output["token_ids"].numpy().tolist() == [
        [2, 3, 4, 6, 5],
        [1, 0, 0, 0, 0],
    ]
    assert output["token_ids"].dtype == tf.int32
    assert output["padding_mask"].numpy().sum(axis=1).tolist() == [5, 1]
    assert output["tokens"].numpy()[1].tolist() == [b"dog", *[b""] * 4]
    assert output["token_offsets"].shape == (2, 5, 2)
    assert output["token_offsets"].numpy()[1, 1:].sum() == 0


def test_a_negative_length_and_a_preset_of_images_are_refused():
    with pytest.raises(ValueError, match="max_length=-1"):
        WordTokenizer(VOCABULARY)(["the cat"], max_length=-1)
    with pytest.raises(ValueError, match="no vocabulary.*glomo_pixels_small"):
        WordTokenizer.from_preset("glomo_pixels_small")
    with pytest.raises(ValueError, match="A preset is.*'glomo_smal_en'"):
        WordTokenizer.from_preset("glomo_smal_en")


def test_call_cuts_to_max_length():
    output = WordTokenizer(VOCABULARY)(["the cat sat", "the"], max_length=2)
    assert output["token_ids"].numpy().tolist() == [[2, 3], [2, 0]]
    assert output["token_offsets"].shape == (2, 2, 2)


def test_call_keeps_one_padded_column_for_empty_texts():
    output = WordTokenizer(VOCABULARY)(["", "  "])
    assert output["token_ids"].numpy().tolist() == [[0], [0]]
    assert not output["padding_mask"].numpy().any()
    assert output["token_offsets"].shape == (2, 1, 2)


def test_call_takes_one_string_and_an_empty_batch():
    tokenizer = WordTokenizer(VOCABULARY)
    assert tokenizer("the cat")["token_ids"].shape == (1, 2)
    assert tokenizer(tf.zeros([0], tf.string))["tokens"].shape[0] == 0


def test_call_runs_inside_a_function_and_a_dataset():
    tokenizer = WordTokenizer(VOCABULARY)
    compiled = tf.function(
        tokenizer, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    assert compiled(["the cat"])["token_ids"].numpy().tolist() == [[2, 3]]
    assert compiled([""])["token_ids"].shape == (1, 1)
    dataset = tf.data.Dataset.from_tensor_slices(["cat sat"]).batch(1)
    [output] = dataset.map(tokenizer).as_numpy_iterator()
    assert output["token_ids"].tolist() == [[3, 4]]


def test_function_may_create_the_tokenizer():
    made = []

    @tf.function
    def ids(texts):
        if not made:
            made.append(WordTokenizer(VOCABULARY))
        return made[0](texts)["token_ids"]

    assert ids(tf.constant(["cat"])).numpy().tolist() == [[3]]


def test_preset_folder_restores_the_tokenizer(tmp_path):
    words = [*VOCABULARY, "a\u2028b", "c\x85"]
    write_vocabulary(tmp_path / "vocabulary.txt", words)
    metadata = {"tokenizer": {"lowercase": False, "numbers": "N"}}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    tokenizer = WordTokenizer.from_preset(tmp_path)
    assert tokenizer.vocabulary == words
    config = {**metadata["tokenizer"], "normalize_unicode": False}
    assert tokenizer.get_config() == config
    other = WordTokenizer.from_preset(tmp_path, normalize_unicode=True)
    assert other.get_config() == {**config, "normalize_unicode": True}


def test_a_damaged_vocabulary_is_refused(tmp_path):
    path = tmp_path / "vocabulary.txt"
    write_vocabulary(path, VOCABULARY)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    metadata = {"tokenizer": {}, "sha256": {"vocabulary.txt": digest}}
    metadata["tokenizer"] = {"lowercase": True}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    assert WordTokenizer.from_preset(tmp_path).vocabulary == VOCABULARY
    path.write_text(path.read_text()[:-6])
    with pytest.raises(ValueError, match="vocabulary.txt is damaged.*SHA-256"):
        WordTokenizer.from_preset(tmp_path)


def test_preset_without_tokenizer_entry_is_refused(tmp_path):
    write_vocabulary(tmp_path / "vocabulary.txt", VOCABULARY)
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="no entry 'tokenizer'.*Received"):
        WordTokenizer.from_preset(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary": ["<pad>", "a"]}, "'<unk>'.*Received"),
        ({"vocabulary": ["<pad>", "<unk>", "a", "a"]}, "1 repeated.*'a'"),
        ({"vocabulary": ["<pad>", "<unk>", "a\nb"]}, "line break"),
        ({"numbers": "drop"}, "Received: numbers='drop'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer(**arguments)


def test_ids_without_vocabulary_are_refused():
    with pytest.raises(ValueError, match="need a vocabulary"):
        WordTokenizer()(["a"])


def test_texts_of_higher_rank_are_refused():
    with pytest.raises(ValueError, match=r"shape \(B,\)"):
        WordTokenizer().tokenize([["a"]])


@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
def test_lower_case_is_the_same_in_every_locale(locale):
    """The locale is that of the process, so this needs another one."""
    code = """if True:
        from glomo_keras.data import WordTokenizer
        words = ["I", "Iİx", "ÌÍ", "ĨĮ", "J\u0300", "ΣΑΣ", "ẞ"]
        lowered = WordTokenizer().normalize(words).numpy().tolist()
        assert lowered == [word.lower().encode() for word in words], lowered
    """
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1"},
        check=True,
    )
