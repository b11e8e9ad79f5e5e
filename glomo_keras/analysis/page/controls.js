// The controls above the view, and the start of the page.

class Controls {
  constructor(page) {
    this.page = page;
    this.byId = (id) => document.getElementById(id);
    this.choices("view", (value) => page.update({ view: value }));
    this.choices("direction", (direction) => page.update({ direction }));
    this.listen("count", (input) => ({ count: Number(input.value) }));
    this.listen("least", (input) => ({ least: Number(input.value) }));
    this.listen("above-share", (input) => ({ aboveShare: input.checked }));
    this.listen("side", (input) => ({ side: input.value }));
    this.listen("products", (input) => ({ products: input.checked }));
    this.listen("text", (input) => ({ text: Number(input.value) }));
    this.byId("release").addEventListener("click", () => {
      page.update({ word: null });
    });
    addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !DATA.image) page.update({ word: null });
    });
    this.saving();
    this.prepare();
  }

  choices(name, change) {
    for (const input of document.querySelectorAll(`input[name=${name}]`)) {
      input.addEventListener("change", () => change(input.value));
    }
  }

  listen(id, change) {
    const input = this.byId(id);
    input.addEventListener("input", () => this.page.update(change(input)));
  }

  saving() {
    const page = this.page;
    const actions = {
      "save-svg": () => saveSvg(page.picture(), page.fileName()),
      "save-png": () => savePng(page.picture(), page.fileName()),
      "save-heads-svg": () => saveSvg(page.overview.scene(), "heads"),
      "save-heads-png": () => savePng(page.overview.scene(), "heads"),
    };
    for (const [id, action] of Object.entries(actions)) {
      this.byId(id).addEventListener("click", action);
    }
  }

  // Hides what these data have no use for.
  prepare() {
    const image = DATA.image !== null;
    for (const element of document.querySelectorAll(".noun")) {
      element.textContent = image ? "pixel" : "word";
    }
    this.byId("choose-text").hidden = image;
    this.byId("choose-pixels").hidden = !image;
    this.byId("directions").hidden = DATA.directions.length < 2;
    document.body.classList.toggle("of-image", image);
    this.byId("text").hidden = DATA.texts.length < 2;
    for (const direction of ["forward", "backward"]) {
      const shown = DATA.directions.includes(direction);
      this.byId(`legend-${direction}`).hidden = !shown;
    }
    DATA.texts.forEach(({ name }, index) => {
      this.byId("text").append(new Option(name, index));
    });
    this.byId("kept").textContent = DATA.kept;
  }

  mark() {
    const { state } = this.page;
    for (const name of ["view", "direction"]) {
      for (const input of document.querySelectorAll(`input[name=${name}]`)) {
        input.checked = input.value === state[name];
      }
    }
    this.byId("count").value = state.count;
    const all = state.count >= MOST_EDGES;
    this.byId("count-shown").textContent = all ? "all" : state.count;
    this.byId("least").value = state.least;
    this.byId("least-shown").textContent = state.least.toFixed(2);
    this.byId("above-share").checked = state.aboveShare;
    this.byId("side").value = state.side;
    this.byId("products").checked = state.products;
    this.byId("text").value = state.text;
    this.byId("release").hidden = DATA.image !== null || state.word === null;
    const matrix = state.view === "matrix";
    const long = state.view === "text" && longestText() > SHORT;
    document.body.classList.toggle("tall", matrix || long);
    for (const element of document.querySelectorAll(".for-lines")) {
      element.hidden = matrix;
    }
  }
}

async function start() {
  document.title = DATA.title;
  document.getElementById("title").textContent = DATA.title;
  prepareTexts();
  const page = new Page(await readTexts());
  page.start();
  performance.mark("first view");
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  const words = `This page could not be drawn: ${error.message}`;
  document.getElementById("status").textContent = words;
  throw error;
});
