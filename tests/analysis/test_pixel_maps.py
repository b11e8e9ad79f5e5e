import numpy as np
import pytest

from glomo_keras.analysis import plot_pixel_maps

HEIGHT, WIDTH = 3, 4
IMAGE = np.arange(36, dtype="uint8").reshape(HEIGHT, WIDTH, 3)


def graphs(layers=2, heads=3):
    units = HEIGHT * WIDTH
    values = np.random.default_rng(0).random((layers, heads, units, units))
    return np.tril(values, -1)


def test_each_panel_shows_the_row_of_its_head():
    figure = plot_pixel_maps(graphs(), IMAGE, (1, 2), title="an image")
    image, *panels = figure.axes
    np.testing.assert_array_equal(image.images[0].get_array(), IMAGE)
    assert len(panels) == 6
    for index, axes in enumerate(panels):
        layer, head = divmod(index, 3)
        row = graphs()[layer, head, 1 * WIDTH + 2]
        shown = axes.images[0]
        np.testing.assert_allclose(
            shown.get_array(), row.reshape(HEIGHT, WIDTH)
        )
        assert shown.get_clim() == (0, row.max())
        name = f"layer {layer + 1}, head {head + 1}: {row.max():.2g}"
        assert axes.get_title() == name
        (mark,) = axes.lines
        assert mark.get_xydata().tolist() == [[2, 1]]


def test_width_is_that_of_the_longest_title():
    values = graphs()
    wide = plot_pixel_maps(values, IMAGE, (1, 2)).get_figwidth()
    values[-1, -1] = values[-1, -1] > 0.5  # ": 1" is its title
    assert plot_pixel_maps(values, IMAGE, (1, 2)).get_figwidth() == wide


def test_files_are_written_and_pixels_without_edges_drawn(tmp_path):
    paths = [tmp_path / "new" / f"map.{x}" for x in ("png", "svg")]
    plot_pixel_maps(graphs(), IMAGE, (0, 0), path=paths)
    assert all(path.stat().st_size > 1000 for path in paths)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"pixel": (3, 0)}, r"must lie in.*Received: pixel=\(3, 0\)"),
        ({"image": IMAGE[:2]}, "a position for each pixel.*12 positions"),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    options = {"image": IMAGE, "pixel": (1, 1), **kwargs}
    with pytest.raises(ValueError, match=message):
        plot_pixel_maps(graphs(), **options)
