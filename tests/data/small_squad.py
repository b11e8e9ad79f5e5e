"""Files of SQuAD 1.1 that are small enough for tests."""

import json

CONTEXTS = [
    "The Broncos beat the Panthers 24–10. It was Super Bowl 50.",
    "Ada Lovelace (1815-1852) wrote notes; Babbage built\u00a0the engine.",
    "A caf\u00e9 in Z\u00fcrich \U0001f600 sold 3,000 cr\u00eapes in 1920.",
    "Rome was not built in a day, nor was Carthage.",
]


def question(identifier, text, context, *answers):
    """A question whose answers stand where they first occur."""
    return {
        "id": identifier,
        "question": text,
        "answers": [
            {"text": answer, "answer_start": context.find(answer)}
            for answer in answers
        ],
    }


def content():
    """What a file holds: four contexts, eight questions."""
    a, b, c, d = CONTEXTS
    questions = [
        question("q0", "Who won?", a, "Broncos", "The Broncos"),
        question("q1", "What was the score?", a, "24–10"),
        question("q2", "When was Ada Lovelace born?", b, "1815"),
        question("q3", "What did Babbage build?", b, "the engine", "engine"),
        question("q4", "Where is the café?", c, "Zürich"),
        question("q5", "How many crêpes were sold?", c, "3,000"),
        question("q6", "What was not built in a day?", d, "Rome"),
        question("q7", "In what time?", d, "a day", "day"),
    ]
    paragraphs = [
        {"context": context, "qas": questions[2 * i : 2 * i + 2]}
        for i, context in enumerate(CONTEXTS)
    ]
    return {
        "version": "1.1",
        "data": [
            {"title": "One", "paragraphs": paragraphs[:2]},
            {"title": "Two", "paragraphs": paragraphs[2:]},
        ],
    }


def write(folder):
    """Writes train and dev, the same, into a folder; returns it."""
    folder.mkdir(exist_ok=True)
    for name in ("train", "dev"):
        text = json.dumps(content(), ensure_ascii=name == "train")
        path = folder / f"{name}-v1.1.json"
        path.write_text(text, encoding="utf-8")
    return folder
