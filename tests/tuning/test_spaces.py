import keras_tuner
import pytest

from glomo_keras import tuning


def test_layer_ranges_are_the_runs_of_neighbours():
    assert tuning.layer_ranges(3) == {
        "1-3": (1, 2, 3),
        "1-2": (1, 2),
        "2-3": (2, 3),
        "1": (1,),
        "2": (2,),
        "3": (3,),
    }


def test_mixture_space_declares_what_it_returns():
    hp = keras_tuner.HyperParameters()
    values = tuning.mixture_space(hp, 3)
    assert set(values) == {x.name for x in hp.space}
    assert values["graph_layers"] == (1, 2, 3)


def test_products_are_no_choice_for_one_layer():
    hp = keras_tuner.HyperParameters()
    tuning.mixture_space(hp, 3)
    hp.values.update(graph_layers="2", products=True)
    assert tuning.mixture_space(hp, 3)["products"] is False
    hp.values.update(graph_layers="2-3", products=True)
    assert tuning.mixture_space(hp, 3)["products"] is True


def test_mixture_space_of_a_single_layer_has_no_products():
    hp = keras_tuner.HyperParameters()
    values = tuning.mixture_space(hp, 1)
    assert "products" not in hp.values
    assert values["products"] is False


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
