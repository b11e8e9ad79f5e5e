import keras


class FrozenLayer(keras.layers.Layer):
    """The base of layers around pretrained models, which stay frozen.

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


def frozen_copy(model):
    """Returns a copy of a model with weights of its own, frozen."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.trainable = False
    return copy
