import keras_tuner
import pytest

from glomo_keras import tuning


def test_mixture_space_declares_every_value():
    hp = keras_tuner.HyperParameters()
    values = tuning.mixture_space(hp, 3)
    assert set(values) == {x.name for x in hp.space}
    assert values["graph_layers"] == (1, 2, 3)


def test_graph_layers_are_the_runs_of_neighbours():
    hp = keras_tuner.HyperParameters()
    tuning.mixture_space(hp, 3)
    (layers,) = [x for x in hp.space if x.name == "graph_layers"]
    assert list(layers.values) == ["1-3", "1-2", "2-3", "1", "2", "3"]
    hp.values["graph_layers"] = "2-3"
    assert tuning.mixture_space(hp, 3)["graph_layers"] == (2, 3)
    hp.values["graph_layers"] = "2"
    assert tuning.mixture_space(hp, 3)["graph_layers"] == (2,)


def test_products_are_no_choice_for_one_layer():
    hp = keras_tuner.HyperParameters()
    tuning.mixture_space(hp, 3)
    hp.values.update(graph_layers="2", include_products=True)
    assert tuning.mixture_space(hp, 3)["include_products"] is False
    hp.values.update(graph_layers="2-3", include_products=True)
    assert tuning.mixture_space(hp, 3)["include_products"] is True


def test_mixture_space_of_a_single_layer_has_no_products():
    hp = keras_tuner.HyperParameters()
    values = tuning.mixture_space(hp, 1)
    assert "include_products" not in hp.values
    assert values["include_products"] is False


def test_context_space_surrounds_the_learning_rate():
    hp = keras_tuner.HyperParameters()
    values = tuning.context_space(hp, (1, 3, 5), 2e-3)
    assert values == {
        "context_length": 1,
        "learning_rate": 2e-3,
        "dropout": 0.3,
    }
    rate = hp.space[1]
    assert list(rate.values) == pytest.approx([5e-4, 1e-3, 2e-3, 4e-3, 8e-3])
