// The edges of one word or pixel as tables, and what is said aloud.

const MOST_LISTED = 10;

class Details {
  constructor(page) {
    this.page = page;
    this.element = document.getElementById("details");
    this.status = document.getElementById("status");
    this.live = document.getElementById("live");
  }

  draw(words) {
    const place = this.page.active();
    this.status.textContent = words ?? this.summary();
    this.element.replaceChildren();
    if (!place) {
      this.add("p", "Point at a word, tap it or move to it with the arrow keys to see its edges. A click keeps it.", "hint");
      return;
    }
    const { text, position } = place;
    const name = nameOf(text, position);
    this.add("h3", DATA.image ? `Pixel ${name}` : `${name} (word ${position + 1})`);
    const sources = this.page.sourcesOf(place);
    const receivers = this.page.receiversOf(place);
    const weights = [...sources, ...receivers].map(({ weight }) => weight);
    this.heaviest = Math.max(...weights);
    this.list("looks at", "nothing", text, sources, "source");
    this.list("is looked at by", "none", text, receivers, "receiver");
  }

  add(kind, words, style) {
    const element = document.createElement(kind);
    element.textContent = words;
    if (style) element.className = style;
    this.element.append(element);
    return element;
  }

  list(verb, none, text, edges, end) {
    if (!edges.length) {
      this.add("p", `${verb} ${none}`, "hint");
      return;
    }
    const table = this.add("table", "");
    const rest = edges.length - MOST_LISTED;
    const note = rest > 0 ? `, the heaviest ${MOST_LISTED} of ${edges.length}` : "";
    table.createCaption().textContent = `${verb}${note}`;
    const head = table.createTHead().insertRow();
    for (const title of [DATA.image ? "pixel" : "word", "graph", "weight"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const edge of edges.slice(0, MOST_LISTED)) {
      this.row(body.insertRow(), text, edge, edge[end]);
    }
  }

  row(row, text, edge, other) {
    const word = document.createElement("bdi");
    word.textContent = nameOf(text, other);
    const place = row.insertCell();
    place.append(word);
    if (!DATA.image) {
      const number = document.createElement("small");
      number.textContent = ` ${other + 1}`;
      place.append(number);
    }
    const direction = row.insertCell();
    direction.textContent = edge.direction;
    direction.className = edge.direction;
    const weight = row.insertCell();
    weight.textContent = edge.weight.toFixed(3);
    weight.style.setProperty("--weight", edge.weight / this.heaviest);
    weight.className = `weight ${edge.direction}`;
  }

  summary() {
    const title = this.page.title();
    const { view, word } = this.page.state;
    if (view === "matrix") {
      return `${title}.`;
    }
    if (view === "pixels") {
      const shown = this.page
        .edges(0)
        .filter((edge) => this.page.touches(edge, word.position));
      return `${title}: ${shown.length} edges of this pixel pass the filters.`;
    }
    let [passed, lines, all] = [0, 0, 0];
    DATA.texts.forEach((_, text) => {
      const edges = this.page.edges(text);
      passed += edges.length;
      lines += Math.min(edges.length, MOST_LINES);
      for (const graph of this.page.shownGraphs(text)) {
        all += graph.starts[graph.length] - graph.starts[0];
      }
    });
    const drawn = lines < passed && !this.page.active()
      ? ` The ${lines} furthest above uniform are drawn.`
      : "";
    return `${title}: ${passed} of ${all} edges pass the filters.${drawn}`;
  }

  // Says the edges of the active word to screen readers.
  speak(words) {
    const place = this.page.active();
    if (!place) return;
    if (words) {
      this.live.textContent = words;
      return;
    }
    const { text, position } = place;
    const said = this.page
      .sourcesOf(place)
      .slice(0, 3)
      .map((edge) => `${nameOf(text, edge.source)} ${edge.weight.toFixed(2)} ${edge.direction}`);
    this.live.textContent = `${nameOf(text, position)} looks at ${said.join(", ") || "nothing"}`;
  }
}
