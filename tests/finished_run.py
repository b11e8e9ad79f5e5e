"""The folder of a run of recipes.pretrain.text, without its training."""

import dataclasses
import json
import random

import keras

from glomo_keras import training
from recipes.pretrain import text as pretrain_text

WORDS = "the cat sat on a mat while two dogs ran after one small bird".split()

SIZES = {
    "vocabulary_size": 14,
    "embedding_dim": 8,
    "num_heads": 2,
    "key_dim": 4,
    "num_conv_layers": 1,
    "num_graph_layers": 2,
    "context_length": 2,
    "max_length": 12,
    "batch_size": 4,
    "epochs": 2,
    "steps_per_epoch": 5,
    "validation_fraction": 0.2,
}


def write_text(path):
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=30)) + "." for _ in range(30)]
    path.write_text("\n\n".join(lines))


def make_run(folder, **kwargs):
    """Writes a text and a run on it; returns the run's options."""
    write_text(folder / "text.txt")
    options = pretrain_text.Options(
        corpus=(str(folder / "text.txt"),),
        out=folder / "run",
        cache=folder / "cache",
        **{**SIZES, **kwargs},
    )
    options = pretrain_text.resolve(options)
    keras.utils.set_random_seed(0)
    corpus = pretrain_text.load(options)
    keras.config.set_dtype_policy(options.precision)
    pretrainer = pretrain_text.build(options, corpus)
    keras.config.set_dtype_policy("float32")
    embeddings = pretrainer.graph_predictor.token_embedding.embeddings
    embeddings.assign(10 * embeddings.value)  # far from equal probabilities
    write_files(options, pretrainer, corpus)
    return options


def write_files(options, pretrainer, corpus):
    config = dataclasses.asdict(options)
    del config["overwrite"]
    with training.RunFolder(options.out).start(config) as folder:
        folder.check_data(pretrain_text.describe(corpus, options))
        pretrainer.save_to_preset(folder.path / "pretrainer")
        pretrainer.graph_predictor.save_to_preset(folder.path / "preset")
        names = [
            f"{part}{direction}_perplexity"
            for part in ("", "val_")
            for direction in ("forward", "backward")
        ]
        rows = [
            {"epoch": epoch, **{name: 9.5 - epoch for name in names}}
            for epoch in range(options.epochs)
        ]
        training.write_history(folder.history_path, rows)
        times = [
            {"epoch": row["epoch"], "seconds": 1800.0, "cpu_seconds": 900.0}
            for row in rows
        ]
        training.write_history(folder.timing_path, times)
        steps = options.epochs * options.steps_per_epoch
        folder.write_metrics({"epochs": 2, "best_epoch": 1, "steps": steps})


def read_json(path):
    return json.loads(path.read_text("utf-8"))
