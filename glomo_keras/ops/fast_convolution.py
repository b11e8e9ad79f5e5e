"""Causal convolutions, of three taps with half of the multiplications.

Four neighbouring outputs `y_j = x_j g_0 + x_{j+1} g_1 + x_{j+2} g_2` take
twelve products of a vector with a matrix. They are also coefficients of a
product of polynomials, and its values at six points determine that product:
Winograd's F(4, 3), at 0, 1, -1, 2, -2 and infinity, takes six products, of sums
of inputs with sums of taps, and sums of these are the outputs.

Nothing outside this file knows of it: `causal_conv1d` is an ordinary
convolution to rounding.
"""

import keras
from keras import ops

TAPS = 3
OUTPUTS = 4
WINDOW = OUTPUTS + TAPS - 1
LEAST_WIDTH = 256


def causal_conv1d(inputs, kernel, direction, training=False):
    """Convolves a zero-padded sequence so that no output sees the future.

    Args:
        inputs: Tensor `(B, T, d)`.
        kernel: Tensor `(taps, d, filters)`, not a variable.
        direction: `"forward"`, where the window of an output ends at its
            position, or `"backward"`, where it begins there.
        training: Whether the faster algorithm may be used. What is exported,
            and compared with its export, is the plain convolution. Defaults
            to `False`.

    Returns:
        Tensor `(B, T, filters)`.
    """
    padding = (kernel.shape[0] - 1, 0)  # zeros before and after
    if direction == "backward":
        padding = padding[::-1]
    if training and _is_faster_by_fours(inputs, kernel):
        return _convolve_by_fours(inputs, kernel, padding)
    inputs = ops.pad(inputs, ((0, 0), padding, (0, 0)))
    return ops.conv(
        inputs, kernel, padding="valid", data_format="channels_last"
    )


def _is_faster_by_fours(inputs, kernel):
    """Returns whether `_convolve_by_fours` takes less time.

    On CPUs with TensorFlow it takes 57 % of the time for 512 channels, forward
    and backward; below 256 the sums take what the products save. bfloat16 is
    too coarse for differences of inputs.
    """
    return (
        keras.config.backend() == "tensorflow"
        and keras.backend.standardize_dtype(inputs.dtype) == "float32"
        and kernel.shape[0] == TAPS
        and min(kernel.shape[1:]) >= LEAST_WIDTH
        and keras.distribution.list_devices()[0].startswith("cpu")
    )


def _convolve_by_fours(inputs, kernel, padding):
    """Computes the convolution by F(4, 3), with its gradient.

    Reference:
        Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
        Networks".
    """

    @ops.custom_gradient
    def convolve(inputs, kernel):
        length = ops.shape(inputs)[1]
        taps = _sums_of_taps(kernel)
        sums = _sums_of_inputs(_windows(inputs, padding))
        products = [ops.matmul(x, k) for x, k in zip(sums, taps, strict=True)]

        def grad(*args, upstream=None):
            d_outputs = args[0] if upstream is None else upstream
            d_products = _transposed_outputs(_in_fours(d_outputs))
            d_sums = [
                ops.matmul(d, ops.transpose(k))
                for d, k in zip(d_products, taps, strict=True)
            ]
            d_taps = [
                ops.matmul(ops.transpose(_rows(x)), _rows(d))
                for x, d in zip(sums, d_products, strict=True)
            ]
            d_windows = _transposed_sums_of_inputs(d_sums)
            d_inputs = _transposed_windows(d_windows, padding, length)
            return d_inputs, _transposed_sums_of_taps(d_taps)

        return _join(_outputs(products))[:, :length], grad

    return convolve(inputs, kernel)


def _rows(x):
    """`(B, n, d)` -> `(B * n, d)`."""
    return ops.reshape(x, (-1, x.shape[-1]))


def _in_fours(x, before=0, more=0):
    """Splits by position modulo 4: `(B, T, d)` -> four `(B, n, d)`.

    Args:
        x: Tensor `(B, T, d)`.
        before: Integer, zeros put before it. Defaults to `0`.
        more: Integer, by how much n is to exceed T / 4. Defaults to `0`.
    """
    length, width = ops.shape(x)[1], x.shape[-1]
    count = (length + OUTPUTS - 1) // OUTPUTS + more
    after = OUTPUTS * count - length - before
    x = ops.pad(x, ((0, 0), (before, after), (0, 0)))
    x = ops.reshape(x, (-1, count, OUTPUTS * width))
    return ops.split(x, OUTPUTS, axis=-1)


def _join(parts):
    """Undoes `_in_fours`: four `(B, n, d)` -> `(B, 4 n, d)`."""
    count, width = ops.shape(parts[0])[1], parts[0].shape[-1]
    return ops.reshape(
        ops.concatenate(parts, axis=-1), (-1, OUTPUTS * count, width)
    )


def _windows(inputs, padding):
    """Returns the six inputs that each four outputs see, `(B, n, d)`."""
    parts = _in_fours(inputs, padding[0], more=1)
    return [x[:, :-1] for x in parts] + [
        x[:, 1:] for x in parts[: WINDOW - OUTPUTS]
    ]


def _transposed_windows(windows, padding, length):
    """Returns the gradient of the inputs, `(B, T, d)`, from the windows'."""
    x0, x1, x2, x3, x4, x5 = windows
    zero = ops.zeros_like(x0[:, :1])

    def earlier(x):
        return ops.concatenate([x, zero], axis=1)

    def later(x):
        return ops.concatenate([zero, x], axis=1)

    parts = [
        earlier(x0) + later(x4),
        earlier(x1) + later(x5),
        earlier(x2),
        earlier(x3),
    ]
    return _join(parts)[:, padding[0] : padding[0] + length]


def _sums_of_inputs(inputs):
    """Returns the six sums of the six inputs, each `(B, n, d)`."""
    x0, x1, x2, x3, x4, x5 = inputs
    even, odd = x4 - x2, 2.0 * (x3 - x1)
    far, near = x4 - 4.0 * x2, x3 - 4.0 * x1
    return [
        4.0 * (x0 - x2) + even,
        far + near,
        far - near,
        even + odd,
        even - odd,
        (x5 - x3) - 2.0 * odd,
    ]


def _transposed_sums_of_inputs(sums):
    """Returns the gradient of `_sums_of_inputs`."""
    s0, s1, s2, s3, s4, s5 = sums
    far, near = s1 + s2, s1 - s2
    even, odd = s3 + s4, 2.0 * (s3 - s4)
    first, last = 4.0 * s0, 4.0 * s5
    return [
        first,
        last - 4.0 * near - odd,
        -4.0 * far - even - first - s0,
        near + odd - last - s5,
        far + even + s0,
        s5,
    ]


def _sums_of_taps(kernel):
    """Returns the six sums of the taps, each `(d, filters)`."""
    g0, g1, g2 = ops.unstack(kernel, axis=0)
    outer, middle = (g0 + g2) / -6.0, g1 / 6.0
    far, half = g0 / 24.0 + g2 / 6.0, g1 / 12.0
    return [
        g0 / 4.0,
        outer - middle,
        outer + middle,
        far + half,
        far - half,
        g2,
    ]


def _transposed_sums_of_taps(sums):
    """Returns the gradient of `_sums_of_taps`, `(3, d, filters)`."""
    s0, s1, s2, s3, s4, s5 = sums
    outer, middle = (s1 + s2) / -6.0, (s2 - s1) / 6.0
    far, half = s3 + s4, (s3 - s4) / 12.0
    return ops.stack(
        [s0 / 4.0 + outer + far / 24.0, middle + half, outer + far / 6.0 + s5]
    )


def _outputs(products):
    """Returns the four outputs, sums of the six products, `(B, n, d)`."""
    p0, p1, p2, p3, p4, p5 = products
    even, odd = p1 + p2, p1 - p2
    far, farther = p3 + p4, 2.0 * (p3 - p4)
    return [
        p0 + even + far,
        odd + farther,
        even + 4.0 * far,
        odd + 4.0 * farther + p5,
    ]


def _transposed_outputs(outputs):
    """Returns the gradient of `_outputs`."""
    y0, y1, y2, y3 = outputs
    even, odd = y0 + y2, y1 + y3
    far, farther = y0 + 4.0 * y2, 2.0 * (y1 + 4.0 * y3)
    return [y0, even + odd, even - odd, far + farther, far - farther, y3]
