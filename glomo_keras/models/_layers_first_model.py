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

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**with_dtype_policy(config))


def with_dtype_policy(config):
    """A copy of the config, with `dtype` as a policy if it is that of one."""
    if not isinstance(config.get("dtype"), dict):
        return dict(config)
    policy = keras.dtype_policies.deserialize(config["dtype"])
    return {**config, "dtype": policy}
