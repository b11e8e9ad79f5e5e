import keras


class LayersFirstModel(keras.Model):
    """A functional model whose layers are attributes before it is made.

    `torch.nn.Module` refuses modules as attributes before its `__init__`;
    there they are set past it. The functional model tracks them anyway.
    """

    def __setattr__(self, name, value):
        if keras.config.backend() == "torch" and "_modules" not in vars(self):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)
