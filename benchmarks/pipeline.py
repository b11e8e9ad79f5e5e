"""The `tf.data` pipeline alone, beside what pretraining consumes."""

from benchmarks.measuring import time_calls
from benchmarks.tables import highest
from benchmarks.tables import quantity
from benchmarks.tables import ratio

NUM_WORDS = 2_000_000
TEXT_WORDS = 300
VOCABULARY = 20_000
BATCHES = 100
TITLE = "Input pipeline: tokens/s, alone and as the fastest training consumes"


def cases(options):
    return list(options.configs)


def measure(fields, options):
    """Tokens/s of `data.as_dataset` over a `WindowSampler`.

    Args:
        fields: `[config]`.
        options: the benchmark's.
    """
    from benchmarks.pretraining import batch_size
    from glomo_keras import data
    from recipes.pretrain import text_options

    config = text_options.CONFIGS[fields[0]]
    sampler = data.WindowSampler(
        synthetic_stream(),
        batch_size(fields[0], "sampled", options),
        config["max_length"],
    )
    batches = iter(data.as_dataset(sampler))
    tokens = []

    def take():
        shapes = [next(batches)["token_ids"].shape for _ in range(BATCHES)]
        tokens.append(sum(rows * length for rows, length in shapes))

    result = time_calls(take, options.calls)
    # Batches differ in length; the average holds for the median time.
    average = sum(tokens) / len(tokens)
    return {"tokens_per_second": average / result["seconds"], **result}


def synthetic_stream():
    """Random words in texts of random lengths, as a `TokenStream`."""
    import numpy as np

    from glomo_keras.data.text.token_stream import TokenStream

    rng = np.random.default_rng(0)
    lengths = rng.geometric(1 / TEXT_WORDS, NUM_WORDS // TEXT_WORDS)
    ids = rng.integers(2, VOCABULARY, lengths.sum(), dtype="int32")
    return TokenStream(ids, np.cumsum(lengths) - lengths, lengths)


def rows(outcomes):
    table = []
    for case, outcome in outcomes.items():
        section, config = case.split(":")[:2]
        if section != "pipeline":
            continue
        alone = quantity(outcome, "tokens_per_second")
        consumed = consumption(config, outcomes)
        table.append(
            {
                "config": config,
                "pipeline": alone,
                "pretraining": consumed,
                "ratio": ratio(alone, consumed),
            }
        )
    return table


def consumption(config, outcomes):
    """Tokens/s of the fastest training of the package; empty if none ran."""
    speeds = [
        quantity(outcome, "tokens_per_second")
        for case, outcome in outcomes.items()
        if case.startswith(f"pretrain:package:{config}:")
    ]
    return highest(*speeds) if speeds else ""
