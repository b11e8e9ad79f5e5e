"""Fixtures of all tests."""

import gc
import pathlib

import keras
import pytest

EAGER = (
    "recipes/tasks",
    "recipes/tuning",
    "recipes/pretrain",
    "recipes/vision",
    "recipes/graphs",
    "training/test_fit_resumable.py",
    "examples/test_graphs_in_keras_hub.py",
    "test_docs.py",
    "test_doctests.py",
)
"""Where TensorFlow's functions run eagerly."""


@pytest.fixture(scope="module", autouse=True)
def seed_of_module():
    """Draws the same in the fixtures of a module, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def seed_of_test(seed_of_module):
    """Draws the same in a test, whatever ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module", autouse=True)
def little_to_collect():
    """Keeps the models of other modules out of each collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def eager_functions(request):
    """Runs TensorFlow's functions eagerly in tests that fit often.

    Tracing and compiling a small model for training, validation and
    prediction takes longer than its few steps by far. The tests of layers
    and models show that they train in traced and compiled functions.
    """
    place = request.path.relative_to(pathlib.Path(__file__).parent).as_posix()
    if keras.backend.backend() != "tensorflow" or not place.startswith(EAGER):
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
