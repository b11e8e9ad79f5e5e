// The overview: all terms and heads as small pictures, and the mixture with
// the weights of its terms.

const THUMBNAIL = 64; // cells a side at most
const PAUSE = 10; // milliseconds between pictures that take time

class Overview {
  constructor(page) {
    this.page = page;
    this.grid = document.getElementById("heads");
    this.grid.style.setProperty("--heads", DATA.heads);
    this.cells = [];
    TERMS.forEach((term, index) => this.addRow(term, index));
    this.addMixture();
    this.grid.addEventListener("keydown", (event) => this.onKey(event));
    this.waiting = [];
  }

  addRow(term, index) {
    const row = document.createElement("div");
    row.className = term.product ? "row product" : "row";
    const name = document.createElement("span");
    name.className = "term";
    name.textContent = term.name;
    row.append(name);
    for (let head = 0; head < DATA.heads; head++) {
      const cell = this.makeCell(`${term.name}, head ${head + 1}`, index, head);
      row.append(cell.box);
    }
    this.grid.append(row);
  }

  makeCell(name, term, head) {
    const box = document.createElement("div");
    box.className = "cell";
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", name);
    button.title = name;
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    button.append(canvas);
    button.addEventListener("click", () => this.page.update({ term, head }));
    box.append(button);
    const cell = { box, button, canvas, term, head, name };
    if (term !== MIXTURE) this.addSlider(cell);
    this.cells.push(cell);
    return cell;
  }

  addSlider(cell) {
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = 1;
    slider.step = 0.01;
    slider.setAttribute("aria-label", `weight of ${cell.name}`);
    const share = document.createElement("span");
    share.className = "share";
    slider.addEventListener("input", () => {
      this.page.setWeight(cell.term, cell.head, Number(slider.value));
    });
    cell.slider = slider;
    cell.share = share;
    cell.box.append(slider, share);
  }

  addMixture() {
    const row = document.getElementById("mixture");
    const cell = this.makeCell("mixture", MIXTURE, 0);
    row.prepend(cell.box);
    this.hint = document.getElementById("mixture-hint");
    this.weightButtons = document.getElementById("weight-buttons");
    const actions = {
      "weights-equal": () => 1,
      "weights-layers": (term) => (TERMS[term].product ? 0 : 1),
      "weights-given": (term, head, direction) =>
        DATA.weights[direction]?.[term * DATA.heads + head] ?? 0,
    };
    for (const [id, weight] of Object.entries(actions)) {
      const button = document.getElementById(id);
      button.addEventListener("click", () => this.page.setWeights(weight));
      if (id === "weights-given") button.hidden = !DATA.weights;
    }
  }

  onKey(event) {
    const steps = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const step = steps[event.key];
    const button = event.target.closest("[role=radio]");
    if (!step || !button) return;
    const cells = this.cells.filter((cell) => this.isShown(cell));
    const now = cells.find((cell) => cell.button === button);
    const terms = [...new Set(cells.map((cell) => cell.term))];
    const row = terms.indexOf(now.term) + step[0];
    const head = now.head + step[1];
    const next = cells.find(
      (cell) => cell.term === terms[row]
        && (cell.head === head || (step[0] && cell.term === MIXTURE)),
    );
    event.preventDefault();
    if (!next) return;
    this.page.update({ term: next.term, head: next.head });
    next.button.focus();
  }

  isShown(cell) {
    const { term, products } = this.page.state;
    return products || term === MIXTURE || !TERMS[cell.term]?.product;
  }

  // Marks the chosen head and shows the weights of the mixture.
  mark() {
    const { state } = this.page;
    const mixing = state.term === MIXTURE;
    document.getElementById("with-products").hidden = mixing || DATA.layers < 2;
    this.hint.textContent = mixing
      ? "The sum of all terms with the weights below them, which are scaled to sum to 1."
      : "The weighted sum of all terms. Choose it to set their weights.";
    document.body.classList.toggle("mixing", mixing);
    document.body.classList.toggle("products", state.products);
    this.weightButtons.hidden = !mixing;
    const weights = this.page.mixtureWeights(this.page.shownDirections()[0]);
    const total = weights.flat().reduce((sum, weight) => sum + weight, 0);
    for (const cell of this.cells) {
      const same = cell.term === state.term
        && (mixing || cell.head === state.head);
      cell.button.setAttribute("aria-checked", same);
      cell.button.tabIndex = same ? 0 : -1;
      if (!cell.slider || !mixing) continue;
      const weight = weights[cell.term][cell.head];
      if (Number(cell.slider.value) !== weight) cell.slider.value = weight;
      const share = total > 0 ? (100 * weight) / total : 0;
      cell.share.textContent = `${share < 10 ? share.toFixed(1) : share.toFixed(0)} %`;
    }
  }

  // Draws the small pictures: layers at once, products and the mixture, which
  // have to be computed, one after the other, so that the page stays awake.
  draw() {
    const isLayer = ({ term }) => term !== MIXTURE && !TERMS[term].product;
    for (const cell of this.cells) if (isLayer(cell)) this.drawCell(cell);
    const idle = this.waiting.length === 0;
    this.waiting = this.cells.filter((cell) => !isLayer(cell));
    if (idle) setTimeout(() => this.drawNext());
  }

  drawNext() {
    const cell = this.waiting.shift();
    if (cell) this.drawCell(cell);
    if (this.waiting.length) setTimeout(() => this.drawNext(), PAUSE);
  }

  drawMixture() {
    this.drawCell(this.cells.at(-1));
  }

  drawCell(cell) {
    const graphs = this.page.graphsOf(this.page.state.text, cell.term, cell.head);
    const picture = DATA.image
      ? rowCanvas(graphs, this.page.state.word.position)
      : thumbnail(graphs);
    cell.canvas.width = picture.width;
    cell.canvas.height = picture.height;
    cell.canvas.getContext("2d").drawImage(picture, 0, 0);
  }

  // The overview for a file.
  scene() {
    const [side, left, top] = [64, 86, 26];
    const terms = TERMS.map((_, index) => index).filter(
      (index) => this.page.state.products || !TERMS[index].product,
    );
    const aspect = DATA.image ? DATA.image.height / DATA.image.width : 1;
    const pitch = side * aspect + 8;
    const width = left + DATA.heads * (side + 8);
    const scene = new Scene(width, top + terms.length * pitch + 4);
    for (let head = 0; head < DATA.heads; head++) {
      const x = left + head * (side + 8) + side / 2;
      scene.text(x, top / 2, `head ${head + 1}`, { size: 11, align: "middle" });
    }
    terms.forEach((term, row) => {
      const y = top + row * pitch;
      const middle = y + (side * aspect) / 2;
      scene.text(left - 8, middle, TERMS[term].name, { size: 12, align: "end" });
      for (let head = 0; head < DATA.heads; head++) {
        const cell = this.cells.find((c) => c.term === term && c.head === head);
        this.drawCell(cell);
        const x = left + head * (side + 8);
        scene.picture(x, y, side, side * aspect, cell.canvas);
        scene.rectangle(x, y, side, side * aspect, colours().faint, { line: 1 });
      }
    });
    return scene;
  }
}

// A graph as a small matrix; where several edges share a cell, the heaviest.
function thumbnail(graphs) {
  const { length } = graphs[0];
  const side = Math.min(length, THUMBNAIL);
  const scale = side / length;
  const heaviest = Math.max(...graphs.map(heaviestOf));
  return cellCanvas(side, side, heaviest, length, (set) => {
    for (const graph of graphs) {
      for (let receiver = 0; receiver < length; receiver++) {
        const row = Math.floor(receiver * scale);
        const end = graph.starts[receiver + 1];
        for (let edge = graph.starts[receiver]; edge < end; edge++) {
          const column = Math.floor(graph.sources[edge] * scale);
          set(column, row, graph.weights[edge], graph.direction);
        }
      }
    }
  });
}
