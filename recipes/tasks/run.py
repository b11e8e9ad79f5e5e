"""Data, training and prediction, the same for all tasks."""

import dataclasses

import keras
import numpy as np

from glomo_keras import data
from glomo_keras import training
from glomo_keras.training.warmup_cosine import warmup_cosine
from recipes.common import fingerprint
from recipes.common import refuse
from recipes.tasks import graphs
from recipes.tasks import pictures
from recipes.tasks.features import Features
from recipes.tasks.features import load_features

BEST = "best.weights.h5"


@dataclasses.dataclass
class TaskData:
    """Holds the data of a recipe, ready for all seeds.

    Attributes:
        train, validation: `data.Examples`.
        tests: dict of name to `data.Examples`.
        features: `Features`.
        lexicon: `data.Lexicon` of all words.
        facts: dict, written into the metrics of every run.
        texts: dict, the texts as they were read, by part.
    """

    train: data.Examples
    validation: data.Examples
    tests: dict
    features: Features
    lexicon: data.Lexicon
    facts: dict
    texts: dict


def make_data(options, lexicon, rows, parts, tests, facts):
    """Returns the `TaskData` of a classification.

    Args:
        options: `TaskOptions`.
        lexicon: `data.Lexicon` of all words.
        rows: dict of part to its texts, as `data.Examples` takes them.
        parts: dict of part to what was read, with `labels` int32 `(N,)`.
        tests: names of the parts for the test.
        facts: dict, for the metrics.
    """
    features = load_features(options, lexicon)
    tables = {**features.tables, **graphs.token_tables(options, lexicon)}
    examples = {
        name: data.Examples(
            rows[name], tables, {"logits": part.labels}, few_lengths(options)
        )
        for name, part in parts.items()
    }
    return TaskData(
        train=examples["train"],
        validation=examples["validation"],
        tests={name: examples[name] for name in tests},
        features=features,
        lexicon=lexicon,
        facts={**facts, **features.facts},
        texts=parts,
    )


def describe(options, loaded):
    """Returns checksums of the data and the predictor of a run."""
    arrays = {f"{k}_table": x for k, x in loaded.train.tables.items()}
    parts = {"train": loaded.train, "validation": loaded.validation}
    for part, examples in {**parts, **loaded.tests}.items():
        for name, rows in examples.texts.items():
            arrays[f"{part}_{name}_words"] = np.concatenate(rows)
        for name, values in (examples.targets or {}).items():
            arrays[f"{part}_{name}"] = np.asarray(values)
    return {
        **loaded.facts,
        **fingerprint(arrays),
        **loaded.features.checksums,
        **graphs.preset_digests(options),
    }


def limited(options, parts):
    """Returns a dict of parts of the data, each of at most `limit` examples."""
    if options.limit is None:
        return parts
    rng = np.random.default_rng(options.split_seed)
    taken = {}
    for name, part in parts.items():
        rows = rng.permutation(len(part))[: options.limit]
        taken[name] = part.take(sorted(rows.tolist()))
    return taken


def draw_examples(options, loaded, seed):
    """Returns the data of one seed, with its own part of the training set.

    Args:
        options: `ClassifierOptions`.
        loaded: `TaskData`.
        seed: int.

    Raises:
        ValueError: If there are fewer examples than --train-examples.
    """
    examples, count = loaded.train, options.train_examples or len(loaded.train)
    if count > len(examples):
        refuse("train_examples", f"at most {len(examples)}", options)
    if count < len(examples):
        rows = np.random.default_rng(seed).permutation(len(examples))[:count]
        examples = examples.subset(np.sort(rows))
    facts = {**loaded.facts, "train_examples": count}
    return dataclasses.replace(loaded, train=examples, facts=facts)


def learning_rate(options, loaded):
    """Returns the learning rate of an optimizer, a schedule for `cosine`."""
    if options.schedule == "epochs":
        return options.learning_rate
    return cosine_decay(
        options.learning_rate, options.epochs * steps_per_epoch(options, loaded)
    )


def cosine_decay(learning_rate, steps):
    """Returns a schedule: a twentieth of the steps up, the rest down to 0."""
    return warmup_cosine(learning_rate, steps, steps // 20, learning_rate / 10)


def steps_per_epoch(options, loaded):
    """Returns how many steps there are from one validation to the next."""
    if options.steps_per_epoch is not None:
        return options.steps_per_epoch
    return data.BucketedBatches(
        loaded.train, options.batch_size
    ).steps_per_epoch


def fit(options, loaded, model, seed, folder, callbacks, monitor):
    """Trains, draws, and leaves the model with its best epoch's weights.

    Args:
        options: `TaskOptions`.
        loaded: `TaskData`.
        model: compiled model.
        seed: int, of the order of the examples.
        folder: `RunFolder`.
        callbacks: list; they come first, so that the best epoch can be chosen
            by what they log.
        monitor: name of the metric that is highest in the best epoch.

    Returns:
        Dict of the facts on data and model, the best epoch's number, from 1,
        and its validation metrics.

    Raises:
        RuntimeError: If the loss stopped being finite.
    """
    facts = {**loaded.facts, **describe_model(options, model)}
    frozen = graphs.frozen_digest(model)
    sampler = data.BucketedBatches(loaded.train, options.batch_size, seed)
    best = folder.path / BEST
    history = training.fit_resumable(
        model,
        lambda first_step: data.as_dataset(sampler, first_step),
        epochs=options.epochs,
        steps_per_epoch=steps_per_epoch(options, loaded),
        run_folder=folder,
        callbacks=[
            *callbacks,
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.ModelCheckpoint(
                best,
                monitor=monitor,
                mode="max",
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.EarlyStopping(
                monitor, mode="max", patience=options.patience, verbose=1
            ),
        ],
        validation_data=data.as_dataset(
            data.EvaluationBatches(loaded.validation, options.batch_size)
        ),
    )
    training.check_finite(history)
    model.load_weights(best)
    if graphs.frozen_digest(model) != frozen:
        raise RuntimeError("Training has changed frozen weights.")
    pictures.draw(model, loaded, folder, f"{options.graph}, seed {seed}")
    number = int(np.argmax(history.history[monitor]))
    return {
        **facts,
        "epochs": len(history.epoch),
        "best_epoch": number + 1,
        **{
            name: values[number]
            for name, values in history.history.items()
            if name.startswith("val_")
        },
    }


def few_lengths(options):
    """Returns whether a step is compiled anew for each length of a batch."""
    other = keras.backend.backend() != "tensorflow"
    return other or options.jit_compile == "true"


def predict(options, model, examples):
    """Returns a dict of a model's outputs `(N, ...)`, in the given order."""
    batches = data.EvaluationBatches(examples, options.batch_size)
    outputs = model.predict(data.as_dataset(batches), verbose=0)
    return {name: batches.restore(x) for name, x in outputs.items()}


def describe_model(options, model):
    """Prints a model's size, and returns it for the metrics."""
    parameters = graphs.trained_parameters(model)
    print(
        f"{options.graph}{', matched' if options.matched else ''}: "
        f"{model.count_params():,} parameters, {parameters:,} of them "
        f"trained; XLA: {model.jit_compile}"
    )
    return {
        "graph": options.graph,
        "placement": options.placement,
        "matched": options.matched,
        "trained_parameters": parameters,
        "predictor_sha256": graphs.predictor_digest(model),
    }
