import keras

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class ResNet:
    """Makes the layers of a ResNet for small images, for one or more calls.

    The form that is usual on CIFAR: a first convolution of 3x3 pixels with
    stride 1, no pooling after it, four stages of 64 to 512 channels, the mean
    over all places, a linear layer.

    Args:
        depth: 18 or 34.
        num_classes: Integer.
        dtype: Dtype policy.
    """

    def __init__(self, depth, num_classes, dtype):
        self.dtype = dtype
        self.stem = self._convolution(64, 3, 1, "stem")
        self.blocks = [
            self._block(64 * 2**stage, stage, index)
            for stage, count in enumerate(BLOCKS[depth])
            for index in range(count)
        ]
        self.pool = keras.layers.GlobalAveragePooling2D(
            data_format="channels_last", dtype=dtype, name="pool"
        )
        self.logits = keras.layers.Dense(
            num_classes, dtype=dtype, name="logits"
        )
        self.in_float32 = keras.layers.Activation(
            "linear", dtype="float32", name="logits_float32"
        )
        self.relu = keras.layers.ReLU(dtype=dtype, name="relu")
        self.add = keras.layers.Add(dtype=dtype, name="add")

    def _block(self, filters, stage, index):
        stride = 2 if stage > 0 and index == 0 else 1
        name = f"stage_{stage + 1}_block_{index + 1}"
        block = {
            "first": self._convolution(filters, 3, stride, f"{name}_first"),
            "second": self._convolution(filters, 3, 1, f"{name}_second"),
        }
        if stride == 2:
            block["shortcut"] = self._convolution(
                filters, 1, stride, f"{name}_shortcut"
            )
        return block

    def _convolution(self, filters, kernel_size, stride, name):
        # Zeros on both sides, also for stride 2: "same" puts one side alone.
        return [
            keras.layers.ZeroPadding2D(
                kernel_size // 2,
                data_format="channels_last",
                dtype=self.dtype,
                name=f"{name}_padding",
            ),
            keras.layers.Conv2D(
                filters,
                kernel_size,
                strides=stride,
                use_bias=False,
                data_format="channels_last",
                kernel_initializer="he_normal",
                dtype=self.dtype,
                name=f"{name}_convolution",
            ),
            keras.layers.BatchNormalization(
                momentum=0.9,
                epsilon=1e-5,
                dtype=self.dtype,
                name=f"{name}_norm",
            ),
        ]

    def layers(self):
        """Returns the layers of all convolutions, and the last one."""
        blocks = [
            layer
            for block in self.blocks
            for part in block.values()
            for layer in part
        ]
        return [*self.stem, *blocks, self.logits]

    def __call__(self, x):
        x = self.relu(_run(self.stem, x))
        for block in self.blocks:
            shortcut = _run(block.get("shortcut", []), x)
            x = self.relu(_run(block["first"], x))
            x = _run(block["second"], x)
            x = self.relu(self.add([x, shortcut]))
        return self.in_float32(self.logits(self.pool(x)))


def _run(layers, x):
    for layer in layers:
        x = layer(x)
    return x
