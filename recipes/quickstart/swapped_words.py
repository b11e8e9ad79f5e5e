"""A task that labels itself: were two neighbouring words swapped?

Used by `recipes.quickstart`. Each sentence stands in the data twice, as it is
(label 0) and with two neighbouring, different words exchanged at a random
place (label 1); chance is 50 %. Train, validation and test share no sentence.
The classifiers differ by the graph they are given and nothing else.
"""

import math
import re
import time

import keras
import numpy as np

import glomo_keras as gk
from glomo_keras.data.text.word_tokenizer import NUMBER_TOKEN

MODES = ("none", "uniform", "glomo")
MIN_TOKENS, MAX_TOKENS = 10, 30
MIN_PAIRS = 50
SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}
SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[^\W\d_a-z])")


def split_sentences(paragraph):
    """The sentences of a paragraph, as strings."""
    return SENTENCE_END.split(paragraph)


def make_task(sentences, tokenizer, limit, seed=0):
    """Makes the arrays of the task.

    Args:
        sentences: list of strings, in any order; those with fewer than 10 or
            more than 30 tokens are left out.
        tokenizer: `WordTokenizer` with a vocabulary.
        limit: integer, how many sentences are used at most.
        seed: integer, of the order and of the places of the swaps.

    Returns:
        Dict of `train`, `validation` and `test`, each a pair `(inputs,
        labels)` as `fit` takes it: a dict of `token_ids` `(N, 30)` and
        `padding_mask` `(N, 30)`, and int32 `(N, 1)`, 1 = swapped. Rows 2i
        and 2i + 1 are the same sentence, as it is and swapped.
    """
    generator = np.random.default_rng(seed)
    words = [x.isalpha() and x != NUMBER_TOKEN for x in tokenizer.vocabulary]
    pairs = make_pairs(sentences, tokenizer, np.array(words), generator, limit)
    task, start = {}, 0
    for name, share in SHARES.items():
        stop = len(pairs) if name == "test" else start + int(share * len(pairs))
        task[name] = as_arrays(pairs[start:stop])
        start = stop
    return task


def make_pairs(sentences, tokenizer, is_word, generator, limit):
    """Returns ids of sentences as they are and swapped, `limit` pairs."""
    pairs = []
    batch = tokenizer(sentences, max_length=MAX_TOKENS + 1)
    token_ids = np.asarray(batch["token_ids"])
    lengths = np.asarray(batch["padding_mask"]).sum(1)
    fitting = np.flatnonzero((MIN_TOKENS <= lengths) & (lengths <= MAX_TOKENS))
    for index in generator.permutation(fitting):
        if len(pairs) == limit:
            break
        tokens = token_ids[index, : lengths[index]]
        swapped = swap_neighbours(tokens, is_word, generator)
        if swapped is not None:
            pairs.append((tokens, swapped))
    if len(pairs) < MIN_PAIRS:
        raise ValueError(
            f"The task needs {MIN_PAIRS} sentences of {MIN_TOKENS} to "
            f"{MAX_TOKENS} tokens that pretraining has not seen. "
            f"Received: {len(pairs)}"
        )
    return pairs


def swap_neighbours(token_ids, is_word, generator):
    """Returns a copy with two neighbouring words exchanged, or None.

    Args:
        token_ids: integers `(T,)`.
        is_word: booleans `(V,)`, which tokens are words.
        generator: numpy generator that draws the place.
    """
    words = is_word[token_ids]
    different = token_ids[:-1] != token_ids[1:]
    places = np.flatnonzero(words[:-1] & words[1:] & different)
    if not len(places):
        return None
    place = generator.choice(places)
    swapped = token_ids.copy()
    swapped[[place, place + 1]] = token_ids[[place + 1, place]]
    return swapped


def as_arrays(pairs):
    """Returns inputs and labels of pairs, as `make_task` does."""
    rows = [row for pair in pairs for row in pair]
    token_ids = np.zeros((len(rows), MAX_TOKENS), "int32")
    for index, row in enumerate(rows):
        token_ids[index, : len(row)] = row
    lengths = np.array([len(row) for row in rows])
    inputs = {
        "token_ids": token_ids,
        "padding_mask": np.arange(MAX_TOKENS) < lengths[:, None],
    }
    labels = np.tile([0, 1], len(pairs))[:, None].astype("int32")
    return inputs, labels


def train_classifier(options, mode, seed, predictor, task):
    """Trains one classifier; returns a dict of its results."""
    start = time.monotonic()
    keras.utils.set_random_seed(seed)
    model = build_classifier(options, mode, predictor)
    model.compile(
        keras.optimizers.Adam(options.task_learning_rate),
        loss="binary_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    best = keras.callbacks.EarlyStopping(
        "val_accuracy",
        mode="max",
        patience=options.task_epochs,
        restore_best_weights=True,
    )
    history = model.fit(
        *task["train"],
        validation_data=task["validation"],
        batch_size=options.task_batch_size,
        epochs=options.task_epochs,
        callbacks=[best],
        verbose=2,
    )
    scores = model.evaluate(*task["test"], verbose=0, return_dict=True)
    return {
        "mode": mode,
        "seed": seed,
        "parameters": sum(math.prod(w.shape) for w in model.trainable_weights),
        "accuracy": scores["accuracy"],
        "validation_accuracy": max(history.history["val_accuracy"]),
        "seconds": time.monotonic() - start,
    }


def build_classifier(options, mode, predictor):
    """Builds embeddings, graphs if any, a convolution and a maximum."""
    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
    }
    mask = inputs["padding_mask"]
    embedding = keras.layers.Embedding(
        predictor.vocabulary_size, predictor.embedding_dim
    )
    features = embedding(inputs["token_ids"])  # (B, T, d)
    embedding.set_weights(predictor.token_embedding.get_weights())
    features = keras.layers.Dropout(options.task_dropout)(features)
    if mode != "none":
        if mode == "uniform":
            graphs = gk.layers.UniformGraph()(mask)
        else:
            graphs = gk.models.PredictedGraphs(predictor)(inputs)
        transfer = gk.layers.GraphTransfer(num_mixtures=2, conditioned=True)
        features = transfer(features, graphs)  # (B, T, 2d)
    real = keras.ops.expand_dims(keras.ops.cast(mask, features.dtype), -1)
    features = keras.layers.Conv1D(
        options.units, 3, padding="same", activation="relu"
    )(features * real)  # (B, T, units)
    pooled = keras.layers.GlobalMaxPooling1D()(features * real)  # (B, units)
    outputs = keras.layers.Dense(1, activation="sigmoid")(
        keras.layers.Dropout(options.task_dropout)(pooled)
    )
    return keras.Model(inputs, outputs, name=f"{mode}_classifier")
