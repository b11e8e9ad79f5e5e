"""The page of graphs in a real browser."""

import json
import time
import xml.etree.ElementTree as ET

import keras
import numpy as np
import PIL.Image
import pytest

from glomo_keras.analysis import view_graphs
from glomo_keras.ops.equations import mix_graphs
from tests.analysis.browser import Browser
from tests.analysis.pages import both_directions
from tests.analysis.pages import forward_graphs

WORDS = "the cat sat on the mat because it was tired .".split()
HOSTILE = [
    "</script><script>document.title='hacked'</script>",
    "<img src=x onerror=document.title='hacked'>",
    '"double"',
    "'single'",
    "&lt;",
    "{{script}}",
    "שלום",
    "\u202egnihton",
    "👩‍👩‍👧",
    "日本語",
    "<!--",
    "\ud800",
    "",
    "\t",
    "x" * 300,
]
SHOWN = [*HOSTILE[:-4], "\ufffd", "␣", "␉", "x" * 300]
TABLES = """
[...document.querySelectorAll("#details table")].map((table) => [
  table.caption.textContent,
  [...table.tBodies[0].rows].map((row) => [
    row.querySelector("bdi").textContent,
    row.cells[1].textContent,
    Number(row.cells[2].textContent),
  ]),
])
"""
ROUNDED = 6e-4  # weights are written with three digits


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def show(browser, tmp_path):
    """Opens pages, and sees that none has an error or asks the network."""
    tabs = []

    def open_page(page, address="", **kwargs):
        path = tmp_path / "page.html"
        page.save(path)
        tabs.append(browser.open(f"{path.as_uri()}#{address}", **kwargs))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        assert tab.errors() == []
        asked = [url for url in tab.requests() if url.startswith("http")]
        assert asked == []
        tab.close()


def status(tab):
    return tab.run("document.getElementById('status').textContent")


def said(tab):
    return tab.run("document.getElementById('live').textContent")


def row_edges(graphs, words, receiver):
    """What the first table lists: the sources of a receiver, by weight.

    Args:
        graphs: dict of direction to array `(T, T)`.
    """
    edges = [
        (words[source], direction, graph[receiver, source])
        for direction, graph in graphs.items()
        for source in np.flatnonzero(graph[receiver])
    ]
    return sorted(edges, key=lambda edge: -edge[2])[:10]


def check_table(table, edges):
    assert [row[2] for row in table] == pytest.approx(
        [weight for *_, weight in edges], abs=ROUNDED
    )
    assert sorted(row[:2] for row in table) == sorted(
        [word, direction] for word, direction, _ in edges
    )


@pytest.mark.parametrize(
    "length",
    [10, 200, pytest.param(1000, marks=pytest.mark.slow)],
)
def test_first_view_takes_less_than_2_seconds(show, length):
    graphs = both_directions(length, layers=3, heads=8)
    tab = show(view_graphs(graphs, ["word"] * length))
    assert tab.cpu_seconds() < 2
    assert tab.run("document.querySelectorAll('.word').length") == length


@pytest.mark.slow
def test_long_text_stays_fluid(show):
    graphs = both_directions(1000, layers=3, heads=8)
    tab = show(view_graphs(graphs, ["word"] * 1000))
    tab.wait("document.querySelector('#mixture canvas').width === 64")
    start, count = tab.cpu_seconds(), 20
    for number in range(1, count + 1):
        tab.mouse("move", f".word:nth-of-type({number})")
    assert tab.cpu_seconds() - start < 0.05 * count


def test_edges_of_a_word_are_those_of_the_chosen_head(show):
    graphs = both_directions(len(WORDS))
    page = view_graphs(graphs, WORDS)
    tab = show(page, "term=1&head=2&word=0.7")
    heads = {d: graphs[f"{d}_graphs"][0, 1, 2] for d in ("forward", "backward")}
    tables = dict(tab.run(TABLES))
    edges = row_edges(heads, WORDS, 7)
    assert len(edges) > 5
    check_table(next(iter(tables.values())), edges)
    turned = {direction: graph.T for direction, graph in heads.items()}
    check_table(list(tables.values())[1], row_edges(turned, WORDS, 7))


@pytest.mark.parametrize(("term", "weighted"), [(4, False), (-1, True)])
def test_products_and_mixtures_are_those_of_the_package(show, term, weighted):
    layers, heads = 3, 2
    graphs = both_directions(len(WORDS), layers=layers, heads=heads)
    weights = np.full((2, 5 * heads), 1 / (5 * heads))
    if weighted:
        weights = np.random.default_rng(3).dirichlet(weights[0], 2)
    elif term >= 0:
        weights = np.eye(5 * heads)[[term * heads + 1] * 2]
    weights = dict(zip(("forward", "backward"), weights, strict=True))
    expected = {
        direction: keras.ops.convert_to_numpy(
            mix_graphs(
                keras.ops.convert_to_tensor(graphs[f"{direction}_graphs"]),
                keras.ops.cast(each[None], "float32"),
            )
        )[0, 0]
        for direction, each in weights.items()
    }
    given = weights if weighted else None
    tab = show(
        view_graphs(graphs, WORDS, weights=given),
        f"term={term}&head=1&word=0.8",
    )
    check_table(tab.run(TABLES)[0][1], row_edges(expected, WORDS, 8))


def test_weights_of_the_mixture_can_be_set(show):
    graphs = {"forward_graphs": forward_graphs(len(WORDS), layers=1, heads=2)}
    tab = show(view_graphs(graphs, WORDS), "term=-1&word=0.8")
    tab.run(
        """document.querySelectorAll(".cell input").forEach((slider, head) => {
          slider.value = [0.25, 0.75][head];
          slider.dispatchEvent(new Event("input"));
        })"""
    )
    tab.wait("document.querySelector('.share').textContent === '25 %'")
    first, second = graphs["forward_graphs"][0, 0]
    mixed = {"forward": 0.25 * first + 0.75 * second}
    check_table(tab.run(TABLES)[0][1], row_edges(mixed, WORDS, 8))


def test_hostile_tokens_show_as_text(show):
    page = view_graphs(
        both_directions(len(HOSTILE)), HOSTILE, title="</title>" + HOSTILE[0]
    )
    for view in ("text", "matrix"):
        tab = show(page, f"view={view}&word=0.6")
        assert tab.run("document.title") == "</title>" + HOSTILE[0]
        words = (
            "[...document.querySelectorAll('.word')].map(w => w.textContent)"
        )
        assert tab.run(words) == SHOWN
        assert tab.run("document.querySelector('#details h3').textContent") == (
            f"{HOSTILE[6]} (word 7)"
        )


def test_pointing_at_a_word_shows_its_edges_and_a_click_keeps_them(show):
    tab = show(view_graphs(both_directions(len(WORDS)), WORDS))
    title = "document.querySelector('#details h3')?.textContent"
    tab.mouse("move", ".word:nth-of-type(6)")
    assert tab.run(title) == "mat (word 6)"
    tab.mouse("move", "h1")
    assert tab.run(title) is None
    tab.mouse("click", ".word:nth-of-type(6)")
    tab.mouse("move", "h1")
    assert tab.run(title) == "mat (word 6)"
    assert "word=0.5" in tab.run("location.hash")
    tab.press("Escape")
    assert tab.run(title) is None


def test_words_and_heads_are_reached_by_keys(show):
    graphs = both_directions(len(WORDS))
    tab = show(view_graphs(graphs, WORDS))
    tab.run("document.querySelector('[role=radio][tabindex=\"0\"]').focus()")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        tab.press(key)
    assert status(tab).startswith("Layer 2, head 3, both directions")
    tab.run("document.querySelector('.word[tabindex=\"0\"]').focus()")
    tab.press("End")
    tab.press("ArrowLeft")
    heaviest = WORDS[graphs["forward_graphs"][0, 1, 2, 9].argmax()]
    assert said(tab).startswith("tired looks at")
    assert heaviest in said(tab)
    tab.press("Enter")
    selected = "document.querySelector('[aria-selected=true]').textContent"
    assert tab.run(selected) == "tired"


def test_changed_address_changes_the_view(show):
    tab = show(view_graphs(both_directions(5), WORDS[:5]))
    tab.run("location.hash = 'term=1&head=2&direction=backward&count=x'")
    tab.wait(
        "document.getElementById('status').textContent.startsWith('Layer 2')"
    )
    assert status(tab).startswith("Layer 2, head 3, backward: ")


def test_filters_count_edges(show):
    graphs = {"forward_graphs": forward_graphs(len(WORDS))}
    head = graphs["forward_graphs"][0, 0, 0]
    above = sum(
        (row > 1.001 * row.sum() / max(1, at)).sum()
        for at, row in enumerate(head)
    )
    page = view_graphs(graphs, WORDS)
    every = (head > 0).sum()
    two = np.minimum((head > 0).sum(-1), 2).sum()
    for address, count in {
        "count=20": above,
        "count=20&aboveShare=false": every,
        "count=20&aboveShare=false&least=0.3": (head >= 0.3).sum(),
        "count=2&aboveShare=false": two,
    }.items():
        tab = show(page, address)
        assert f": {count} of {every} edges pass" in status(tab), address


def test_cells_of_the_heat_map_are_named(show):
    graphs = both_directions(len(WORDS))
    page = view_graphs(graphs, WORDS)
    tab = show(page, "view=matrix")
    tab.run("document.querySelector('#matrix canvas').focus()")
    for key in ("ArrowDown",) * 3 + ("ArrowRight",):  # the first enters
        tab.press(key)
    weight = graphs["forward_graphs"][0, 0, 0, 2, 1]
    assert said(tab).startswith("sat (3) looks at cat (2): ")
    assert f"{weight:.3f} forward" in said(tab) or weight == 0
    tab.mouse("move", "#matrix canvas", 0.6, 0.6)
    assert " looks at " in status(tab)


def test_texts_have_lines_of_their_own(show):
    other = ["a", "musician"]
    graphs = {
        "premise": both_directions(11),
        "hypothesis": both_directions(2, dense=True),
    }
    tab = show(view_graphs(graphs, {"premise": WORDS, "hypothesis": other}))
    tab.mouse("move", "#words section + section .word:nth-of-type(2)")
    assert tab.run(TABLES)[0] == ["looks at", [["a", "forward", 1]]]
    names = (
        "[...document.querySelectorAll('#words h3')].map(h => h.textContent)"
    )
    assert tab.run(names) == ["premise", "hypothesis"]


def test_click_on_a_pixel_shows_its_edges_in_all_heads(show):
    graphs = {"forward_graphs": forward_graphs(12)}
    image = np.arange(36, dtype="uint8").reshape(3, 4, 3)
    tab = show(view_graphs(graphs, image=image), height=1600)
    tab.mouse("click", "#pixels canvas", 0.01, 0.99)
    name = tab.run("document.querySelector('#details h3').textContent")
    assert name == "Pixel row 3, column 1"
    last = "document.querySelectorAll('#heads canvas')[5]"
    shade = tab.run(
        f"[...{last}.getContext('2d').getImageData(0, 0, 4, 3).data]"
    )
    row = graphs["forward_graphs"][0, 1, 2, 8]
    dark = np.reshape(shade, (12, 4))[:, 3] / 255
    np.testing.assert_allclose(dark, np.sqrt(row / row.max()), atol=0.01)
    tab.run("document.querySelector('#pixels canvas').focus()")
    tab.press("ArrowUp")
    assert said(tab).startswith("row 2, column 1 looks at")


@pytest.mark.parametrize(
    "view", ["text", pytest.param("matrix", marks=pytest.mark.slow)]
)
def test_what_is_seen_is_saved(show, browser, view):
    page = view_graphs(both_directions(len(HOSTILE)), HOSTILE)
    tab = show(page, f"view={view}&term=1&head=1")
    name = browser.folder / f"{view}_layer_2_head_2"
    saved = download(tab, "#save-svg", name.with_suffix(".svg"))
    svg = ET.fromstring(saved.read_text("utf-8"))
    texts = [e.text for e in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Layer 2, head 2, both directions"
    assert {'"double"', "&lt;", "שלום"} <= set(texts)
    axes = "Rows are receivers, columns are sources."
    assert (axes in texts) == (view == "matrix")
    image = PIL.Image.open(download(tab, "#save-png", name.with_suffix(".png")))
    assert image.size == (2 * float(svg.get("width")), image.height)
    assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_overview_is_saved(show, browser):
    tab = show(view_graphs(both_directions(5), WORDS[:5]))
    path = browser.folder / "heads.svg"
    svg = ET.fromstring(download(tab, "#save-heads-svg", path).read_text())
    pictures = list(svg.iter("{http://www.w3.org/2000/svg}image"))
    assert len(pictures) == 6


def download(tab, button, path):
    path.unlink(missing_ok=True)
    tab.mouse("click", button)
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end, f"{path} was not saved"
        time.sleep(0.02)
    return path


@pytest.mark.parametrize(
    "given", ["words", pytest.param("image", marks=pytest.mark.slow)]
)
def test_narrow_window_does_not_scroll_sideways(show, given):
    if given == "words":
        page = view_graphs(both_directions(len(HOSTILE)), HOSTILE)
    else:
        graphs = {"forward_graphs": forward_graphs(1024, 1, 2)}
        page = view_graphs(graphs, image=np.zeros((32, 32, 3), "uint8"))
    for view in ("text", "matrix"):
        tab = show(page, f"view={view}", width=400)
        assert tab.run("document.documentElement.scrollWidth") == 400


def test_dark_page_is_dark(show):
    page = view_graphs(both_directions(5), WORDS[:5])
    background = "getComputedStyle(document.body).backgroundColor"
    colours = [
        json.loads(
            show(page, dark=dark).run(background).replace("rgb(", "[")[:-1]
            + "]"
        )
        for dark in (False, True)
    ]
    assert min(colours[0]) > 200 > 50 > max(colours[1])


@pytest.mark.parametrize("address", ["", "view=matrix", "term=-1"])
def test_whatever_takes_the_focus_has_a_name(show, address):
    tab = show(view_graphs(both_directions(5), WORDS[:5]), address)
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        node
        for node in nodes
        for entry in node.get("properties", ())
        if entry["name"] == "focusable" and entry["value"]["value"]
        if node["role"]["value"] != "RootWebArea"
    ]
    assert len(focusable) > 10
    assert [n for n in focusable if not n["name"].get("value")] == []


def test_notebook_frame_shows_the_page(browser, tmp_path):
    page = view_graphs(both_directions(len(HOSTILE)), HOSTILE)
    notebook = tmp_path / "notebook.html"
    notebook.write_text(
        f"<!DOCTYPE html><meta charset=utf-8>"
        f"<body data-ready=1>{page._repr_html_()}",
        "utf-8",
    )
    tab = browser.open(notebook.as_uri())
    frame = tab.frame()
    words = "document.querySelectorAll('.word').length"
    assert frame.run(words) == len(HOSTILE)
    frame.run("document.querySelector('.word').click()")
    kept = "document.querySelector('#details h3').textContent"
    assert frame.run(kept) == f"{SHOWN[0]} (word 1)"
    assert frame.errors() + tab.errors() == []
    tab.close()
