import numpy as np

from glomo_keras.ops.masked_convolution import raster_kernel_mask


def test_raster_masks_by_hand():
    before = [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    with_centre = [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    for kind, expected in (("A", before), ("B", with_centre)):
        mask = raster_kernel_mask(3, kind)
        np.testing.assert_array_equal(mask[..., 0, 0], expected)
        mirrored = raster_kernel_mask(3, kind, "backward")
        np.testing.assert_array_equal(
            mirrored[..., 0, 0], np.flip(expected, (0, 1))
        )
