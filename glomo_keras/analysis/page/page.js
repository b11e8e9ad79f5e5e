// The page: what is shown, and what the reader does.

class Page {
  constructor(graphs) {
    this.terms = graphs.map((each) => new Terms(each));
    this.weights = Object.fromEntries(
      DATA.directions.map((direction) => [direction, firstWeights(direction)]),
    );
    this.state = { ...firstState(), ...readAddress() };
    this.pointed = null;
    this.cache = new Map();
  }

  start() {
    const image = DATA.image !== null;
    this.views = {
      text: image ? null : new WordsView(this),
      pixels: image ? new PixelsView(this) : null,
      matrix: new MatrixView(this),
    };
    this.overview = new Overview(this);
    this.details = new Details(this);
    this.controls = new Controls(this);
    this.show();
    addEventListener("hashchange", () => {
      this.update({ ...firstState(), ...readAddress() });
    });
    this.followWidth(document.getElementById("view"));
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => {
      forgetColours();
      this.show();
    });
  }

  // The observer also calls at once, when nothing has changed.
  followWidth(panel) {
    let width = panel.clientWidth;
    const follow = () => {
      if (panel.clientWidth === width) return;
      width = panel.clientWidth;
      this.view().resize();
    };
    new ResizeObserver(follow).observe(panel);
  }

  view() {
    return this.views[this.state.view];
  }

  // --- What is shown ---

  shownDirections() {
    const { direction } = this.state;
    return direction === "both" ? DATA.directions : [direction];
  }

  graphsOf(text, term, head) {
    return this.shownDirections().map((direction) =>
      term === MIXTURE
        ? this.terms[text].mixture(direction, this.weights[direction])
        : this.terms[text].term(direction, term, head),
    );
  }

  shownGraphs(text) {
    return this.graphsOf(text, this.state.term, this.state.head);
  }

  // The edges of the shown graphs of one text that pass the filters.
  edges(text) {
    if (!this.cache.has(text)) {
      const { count, least, aboveShare } = this.state;
      const most = count >= MOST_EDGES ? Infinity : count;
      const filters = { count: most, least, aboveShare };
      const graphs = this.shownGraphs(text);
      this.cache.set(text, graphs.flatMap((graph) => allEdges(graph, filters)));
    }
    return this.cache.get(text);
  }

  touches(edge, position) {
    const { side } = this.state;
    return (
      (edge.receiver === position && side !== "receivers")
      || (edge.source === position && side !== "sources")
    );
  }

  sourcesOf({ text, position }) {
    const filters = { count: Infinity, least: 0, aboveShare: false };
    return this.shownGraphs(text)
      .flatMap((graph) => edgesOf(graph, position, filters))
      .sort((a, b) => b.weight - a.weight);
  }

  receiversOf({ text, position }) {
    const edges = [];
    for (const graph of this.shownGraphs(text)) {
      for (let receiver = 0; receiver < graph.length; receiver++) {
        const weight = weightOf(graph, receiver, position);
        const { direction } = graph;
        if (weight > 0) {
          edges.push({ receiver, source: position, weight, direction });
        }
      }
    }
    return edges.sort((a, b) => b.weight - a.weight);
  }

  wordEdges(place) {
    const { side } = this.state;
    return [
      ...(side === "receivers" ? [] : this.sourcesOf(place)),
      ...(side === "sources" ? [] : this.receiversOf(place)),
    ];
  }

  active() {
    return this.pointed ?? this.state.word;
  }

  title() {
    const { term, head, direction } = this.state;
    const graph = term === MIXTURE
      ? "Mixture"
      : `${TERMS[term].name}, head ${head + 1}`;
    const which = direction === "both" ? "both directions" : direction;
    const shown = DATA.directions.length > 1 ? `, ${which}` : "";
    return graph[0].toUpperCase() + graph.slice(1) + shown;
  }

  // --- What the reader does ---

  // Looks at a place for as long as the pointer or the focus is there.
  point(place, { aloud = false, words = null } = {}) {
    this.pointed = place;
    this.view().draw();
    this.details.draw(words);
    if (aloud) this.details.speak(words);
  }

  // Keeps a place; a second time lets it go.
  choose(place, { keep = false, aloud = false } = {}) {
    const { word } = this.state;
    const same = word?.text === place.text && word.position === place.position;
    this.update({ word: same && !keep ? null : place });
    if (DATA.image) this.overview.draw();
    if (aloud) this.details.speak();
  }

  update(changes) {
    const before = this.state;
    this.state = { ...before, ...changes };
    this.cache.clear();
    const hidesTerm = !this.state.products && TERMS[this.state.term]?.product;
    if (hidesTerm) this.state.term -= 1; // the layer of the product
    const mixing = ({ term }) => term === MIXTURE;
    const redraws = ["direction", "text", "products"];
    if (
      redraws.some((name) => before[name] !== this.state[name])
      || mixing(before) !== mixing(this.state)
    ) {
      this.overview.draw();
    }
    this.showView();
  }

  show() {
    this.overview.draw();
    this.showView();
  }

  showView() {
    for (const [name, view] of Object.entries(this.views)) {
      if (view) view.element.hidden = name !== this.state.view;
    }
    this.overview.mark();
    this.controls.mark();
    this.view().resize();
    this.details.draw();
    writeAddress(this.state);
  }

  // --- The mixture ---

  mixtureWeights(direction) {
    return this.weights[direction];
  }

  setWeight(term, head, weight) {
    for (const direction of this.shownDirections()) {
      this.weights[direction][term][head] = weight;
    }
    this.remix();
  }

  // Sets the weights to those that weight(term, head, direction) returns.
  setWeights(weight) {
    for (const direction of this.shownDirections()) {
      this.weights[direction] = TERMS.map((_, term) =>
        Array.from({ length: DATA.heads }, (_, head) =>
          weight(term, head, direction),
        ),
      );
    }
    this.remix();
  }

  remix() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      for (const terms of this.terms) terms.forgetMixtures();
      this.overview.drawMixture();
      this.update({});
    });
  }

  // --- Files ---

  picture() {
    const scene = this.view().scene();
    const caption = 34;
    const whole = new Scene(
      Math.max(scene.width, 320) + 24,
      scene.height + caption + 24,
    );
    whole.text(12, 20, this.title(), { size: 14, bold: true });
    whole.place(12, caption + 12, scene);
    return whole;
  }

  fileName() {
    const { view, term, head } = this.state;
    const graph = term === MIXTURE
      ? "mixture"
      : `${TERMS[term].name}_head ${head + 1}`;
    return `${view}_${graph}`.replaceAll("·", "-").replaceAll(" ", "_");
  }
}

// The weights of a mixture at first, [term][head]: those given, the largest
// scaled to 1, or equal ones.
function firstWeights(direction) {
  const given = DATA.weights?.[direction];
  const largest = given ? Math.max(...given) : 1;
  return TERMS.map((_, term) =>
    Array.from({ length: DATA.heads }, (_, head) =>
      given ? given[term * DATA.heads + head] / largest : 1,
    ),
  );
}
