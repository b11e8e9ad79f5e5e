"""What the tests of pictures share: example graphs, overlap of texts."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

SLACK = 0.5  # pixels by which neighbours may touch: antialiasing


def forward_graph(num_units, seed=0):
    """A sparse graph `(T, T)` that looks back, rows sum to 1 or 0."""
    scores = np.random.default_rng(seed).normal(size=(num_units, num_units))
    weights = np.tril(np.maximum(scores - 0.8, 0) ** 2, -1)
    sums = weights.sum(-1, keepdims=True)
    return weights / np.where(sums > 0, sums, 1)


def random_words(number, length, seed=0):
    """Words of that length, among them wide letters and descenders."""
    letters = np.random.default_rng(seed).choice(
        list("abgjmWwyÅ"), size=(number, length)
    )
    return ["".join(row) for row in letters]


def text_boxes(figure):
    """All texts that show, and their boxes `(N, 4)`: x0, y0, x1, y1."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label]
        texts += _tick_labels(axes.xaxis) + _tick_labels(axes.yaxis)
    texts = [text for text in texts if text.get_text() and text.get_visible()]
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer).extents for text in texts]
    return [text.get_text() for text in texts], np.array(boxes)


def _tick_labels(axis):
    """Labels of the ticks inside the axes; matplotlib keeps others too."""
    low, high = sorted(axis.get_view_interval())
    ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def overlapping_texts(figure):
    """Pairs of texts whose boxes overlap."""
    texts, boxes = text_boxes(figure)
    low, high = boxes[:, :2] + SLACK, boxes[:, 2:] - SLACK
    apart = (low[:, None] >= high[None]) | (low[None] >= high[:, None])
    first, second = np.nonzero(np.triu(~apart.any(-1), 1))
    return [(texts[i], texts[j]) for i, j in zip(first, second, strict=True)]


def texts_cut_off(figure):
    """Texts that are not wholly inside the figure."""
    texts, boxes = text_boxes(figure)
    width, height = figure.canvas.get_width_height()
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = (low < 0).any(1) | (high > (width, height)).any(1)
    return [text for text, out in zip(texts, outside, strict=True) if out]
