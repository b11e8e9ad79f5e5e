import keras


class FrozenLayer(keras.layers.Layer):
    """Base class for layers around pretrained models, which stay frozen.

    A model hands its own `trainable` down to its layers; here it has no
    effect. All weights are those of the models within.
    """

    @property
    def trainable(self):
        return False

    @trainable.setter
    def trainable(self, value):
        keras.layers.Layer.trainable.fset(self, False)

    def build(self, inputs_shape):
        pass


def frozen_copy(model, dtype=None):
    """Returns a copy of a model with weights of its own, frozen.

    Args:
        model: Keras model.
        dtype: Dtype policy of the copy. Defaults to `None`, the model's.
    """
    config = model.get_config()
    if dtype is not None:
        config["dtype"] = dtype
    copy = type(model).from_config(config)
    copy.set_weights(model.get_weights())
    copy.trainable = False
    return copy
