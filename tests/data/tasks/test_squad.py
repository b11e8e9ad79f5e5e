import json

import numpy as np
import pytest

from glomo_keras import data
from tests.data import small_squad


@pytest.fixture
def questions(tmp_path):
    return data.read_squad(small_squad.write(tmp_path / "squad"))["dev"]


def test_files_are_read_in_order_with_contexts_once(tmp_path):
    parts = data.read_squad(small_squad.write(tmp_path / "squad"))
    train, dev = parts["train"], parts["dev"]
    assert train.contexts == dev.contexts == small_squad.CONTEXTS
    assert dev.ids == [f"q{i}" for i in range(8)]
    assert dev.context_of == [0, 0, 1, 1, 2, 2, 3, 3]
    assert dev.questions[4] == "Where is the café?"
    assert dev.answers[3] == [("the engine", 52), ("engine", 56)]
    assert train.misplaced() == []
    assert len(dev) == 8 and dev.source.endswith("dev-v1.1.json")


def test_taking_some_questions_keeps_their_contexts(questions):
    some = questions.take([7, 2, 6])
    assert some.ids == ["q7", "q2", "q6"]
    assert some.contexts == [small_squad.CONTEXTS[i] for i in (3, 1)]
    assert some.context_of == [0, 1, 0]


def test_split_shares_no_context(questions):
    first, second = questions.split(3, seed=0)
    assert len(second) == 4
    assert sorted(first.ids + second.ids) == questions.ids
    assert not set(first.contexts) & set(second.contexts)
    again = questions.split(3, seed=0)[1]
    assert again.ids == second.ids
    assert questions.split(3, seed=4)[1].ids != second.ids


@pytest.mark.parametrize("number", [0, 7, 100])
def test_split_without_two_parts_is_refused(questions, number):
    with pytest.raises(ValueError, match="cannot be split.*Received: "):
        questions.split(number, seed=0)


def test_answers_out_of_place_and_repeated_ids_are_found(tmp_path):
    content = small_squad.content()
    first, second = content["data"][0]["paragraphs"][0]["qas"]
    first["answers"][0]["answer_start"] = 5
    second["answers"] += [
        {"text": "Patriots", "answer_start": 0},
        {"text": "50.", "answer_start": -3},
        {"text": "", "answer_start": 3},
    ]
    second["id"] = "q0"
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(content))
    questions = data.read_squad_file(path)
    assert questions.misplaced() == [
        ("q0", "Broncos", 5),
        ("q0", "Patriots", 0),
        ("q0", "50.", -3),
        ("q0", "", 3),
    ]
    assert questions.num_repeated_ids() == 1


def test_a_byte_order_mark_and_integer_ids_are_read(tmp_path):
    content = small_squad.content()
    content["data"][0]["paragraphs"][0]["qas"][0]["id"] = 17
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(content), "utf-8-sig")
    assert data.read_squad_file(path).ids[0] == "17"


def changed(change):
    content = small_squad.content()
    return change(content) or content


def no_answers(content):
    content["data"][1]["paragraphs"][0]["qas"][1]["answers"] = []


def wrong_start(content):
    qas = content["data"][0]["paragraphs"][1]["qas"]
    qas[0]["answers"][0]["answer_start"] = "12"


def no_context(content):
    del content["data"][0]["paragraphs"][1]["context"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"q0": "Broncos"}, "a field 'data' here.*q0"),
        (lambda c: [c], "a field 'data' here"),
        (lambda c: {"data": {}}, "'data' must be a list"),
        (lambda c: {"data": []}, "has no question"),
        (no_context, r"data\[0\], paragraphs\[1\]: .*'context' here"),
        (
            wrong_start,
            r"qas\[0\], answers\[0\]: 'answer_start' must be an integer",
        ),
        (no_answers, r"data\[1\], paragraphs\[0\], qas\[1\]: .*SQuAD 2.0"),
    ],
)
def test_file_of_another_schema_is_refused(tmp_path, change, message):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(changed(change)))
    with pytest.raises(ValueError, match=f"train.json.*{message}"):
        data.read_squad_file(path)


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe{}", b""])
def test_file_that_is_not_json_is_refused(tmp_path, text):
    (tmp_path / "dev.json").write_bytes(text)
    with pytest.raises(ValueError, match="dev.json(, line 1,)? is not JSON"):
        data.read_squad_file(tmp_path / "dev.json")


def test_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-v1.1.json"):
        data.read_squad(tmp_path)
    with pytest.raises(ValueError, match="data_dir.*tfds.*Received: "):
        data.read_squad()


def prepared(folder):
    """A TFDS data set "squad" as it is prepared, with our questions."""
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "id": np.str_,
            "title": np.str_,
            "context": tfds.features.Text(),
            "question": tfds.features.Text(),
            "answers": tfds.features.Sequence(
                {"text": tfds.features.Text(), "answer_start": np.int32}
            ),
        }
    )

    class Squad(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("3.0.0")

        def _info(self):
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._rows(), "validation": self._rows()}

        def _generate_examples(self):
            raise NotImplementedError

        def _rows(self):
            for article in small_squad.content()["data"]:
                for paragraph in article["paragraphs"]:
                    for row in paragraph["qas"]:
                        yield (
                            row["id"],
                            {
                                **row,
                                "title": article["title"],
                                "context": paragraph["context"],
                            },
                        )

    builder = Squad(data_dir=folder)
    builder.download_and_prepare()


def test_tfds_gives_the_same_questions(tmp_path, questions):
    prepared(tmp_path / "tfds")
    dev = data.read_squad(tmp_path / "tfds", tfds="squad")["dev"]
    order = np.argsort(dev.ids)
    dev = dev.take(order.tolist())
    assert dev.contexts == questions.contexts
    assert dev.context_of == questions.context_of
    assert dev.questions == questions.questions
    assert dev.answers == questions.answers
