// The heat map: rows are receivers, columns are sources.

const MOST_LABELLED = 80;
const LARGEST = 44; // pixels of a cell
const MOST_CELLS = 64; // up to this length a file has a shape for each cell

const measuring = document.createElement("canvas").getContext("2d");

function textWidth(words, size) {
  measuring.font = fontOf({ size });
  return measuring.measureText(words).width;
}

// Cuts a text, the last sign being an ellipsis, to so many pixels.
function fitted(words, size, width) {
  if (textWidth(words, size) <= width) return words;
  const signs = Array.from(words);
  while (signs.length && textWidth(`${signs.join("")}…`, size) > width) {
    signs.pop();
  }
  return `${signs.join("")}…`;
}

class MatrixView {
  constructor(page) {
    this.page = page;
    this.element = document.getElementById("matrix");
    this.panels = DATA.texts.map((text, index) => this.makePanel(text, index));
    this.element.append(...this.panels.map((panel) => panel.section));
  }

  makePanel(text, index) {
    const section = document.createElement("section");
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "heat map");
    const name = text.name ? `Heat map, ${text.name}` : "Heat map";
    canvas.setAttribute(
      "aria-label",
      `${name}: rows are receivers, columns are sources. Arrow keys move.`,
    );
    if (text.name) {
      const heading = document.createElement("h3");
      heading.textContent = text.name;
      section.append(heading);
    }
    section.append(canvas);
    const panel = { section, canvas, cell: null };
    this.listen(panel, index);
    return panel;
  }

  listen(panel, text) {
    const { canvas } = panel;
    const cellAt = ({ offsetX, offsetY }) => {
      const { left, top, side, length } = panel.frame;
      const source = Math.floor((offsetX - left) / side);
      const receiver = Math.floor((offsetY - top) / side);
      const inside = [source, receiver].every((at) => at >= 0 && at < length);
      return inside ? { source, receiver } : null;
    };
    canvas.addEventListener("pointermove", (event) => {
      this.move(text, cellAt(event), {});
    });
    canvas.addEventListener("pointerleave", () => this.move(text, null, {}));
    canvas.addEventListener("blur", () => this.move(text, null, {}));
    canvas.addEventListener("click", (event) => {
      const cell = cellAt(event);
      if (cell) this.page.choose({ text, position: cell.receiver });
    });
    canvas.addEventListener("keydown", (event) => {
      const steps = {
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0],
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
      };
      const { cell, frame } = panel;
      if (steps[event.key]) {
        const [down, right] = cell ? steps[event.key] : [0, 0];
        const kept = (at) => Math.min(frame.length - 1, Math.max(0, at));
        const receiver = kept((cell?.receiver ?? 0) + down);
        const source = kept((cell?.source ?? 0) + right);
        this.move(text, { receiver, source }, { aloud: true });
      } else if (cell && (event.key === "Enter" || event.key === " ")) {
        this.page.choose({ text, position: cell.receiver });
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  move(text, cell, { aloud = false }) {
    this.panels[text].cell = cell;
    this.page.point(cell && { text, position: cell.receiver }, {
      words: cell && this.describe(text, cell),
      aloud,
    });
  }

  describe(text, { receiver, source }) {
    const weights = this.page.shownGraphs(text).map((graph) => {
      const weight = weightOf(graph, receiver, source);
      return weight > 0 ? `${weight.toFixed(3)} ${graph.direction}` : "";
    });
    const edge = `${nameOf(text, receiver)} (${receiver + 1}) looks at ${nameOf(text, source)} (${source + 1})`;
    return `${edge}: ${weights.filter(Boolean).join(", ") || "no edge"}`;
  }

  resize() {
    this.panels.forEach((panel, text) => {
      panel.frame = this.makeFrame(text, DATA.texts[text].length);
      panel.cells = this.cellScene(text, panel.frame);
    });
    this.draw();
  }

  draw() {
    this.panels.forEach((panel, text) => {
      paintOn(panel.canvas, this.markedScene(panel, text, panel.cell));
    });
  }

  // All that does not depend on the pointer.
  cellScene(text, frame) {
    const { left, top, side, length } = frame;
    const whole = side * length;
    const below = top + whole + 14;
    const axes = "Rows are receivers, columns are sources.";
    const width = left + Math.max(whole + 8, textWidth(axes, 11) + 8);
    const scene = new Scene(width, below + 54);
    const graphs = this.page.shownGraphs(text);
    const heaviest = Math.max(...graphs.map(heaviestOf));
    this.label(scene, text, frame);
    this.fill(scene, graphs, heaviest, frame);
    scene.text(left, below, axes, { size: 11 });
    if (heaviest > 0) drawScale(scene, left, below + 14, graphs, heaviest);
    scene.rectangle(left, top, whole, whole, colours().faint, { line: 1 });
    return scene;
  }

  markedScene(panel, text, cell) {
    const { left, top, side, length } = panel.frame;
    const scene = new Scene(panel.cells.width, panel.cells.height);
    scene.place(0, 0, panel.cells);
    const look = { line: 1.5 };
    const row = cell?.receiver ?? this.pinned(text);
    if (row !== null) {
      const y = top + row * side;
      scene.rectangle(left, y, side * length, side, colours().mark, look);
    }
    if (cell) {
      const x = left + cell.source * side;
      scene.rectangle(x, top, side, side * length, colours().mark, look);
    }
    return scene;
  }

  pinned(text) {
    const { word } = this.page.state;
    return word?.text === text ? word.position : null;
  }

  makeFrame(text, length) {
    const room = roomIn(this.element) - 8;
    const labelled = length <= MOST_LABELLED && !DATA.image;
    const shown = DATA.texts[text].shown;
    const longest = labelled
      ? Math.max(...shown.map((word) => textWidth(word, 13)))
      : textWidth(`${length}`, 11);
    const margin = Math.ceil(Math.min(longest + 10, room * 0.3, 110));
    const fitting = Math.min(LARGEST, (room - margin) / length);
    const side = fitting < 8 ? fitting : Math.floor(fitting);
    const size = labelled ? Math.max(7, Math.min(13, side * 0.85)) : 11;
    return { left: margin, top: margin, side, size, labelled, length };
  }

  label(scene, text, { left, top, side, size, labelled, length }) {
    const step = labelled ? 1 : [50, 100, 200, 500].find((n) => length / n < 12);
    for (let at = 0; at < length; at += step) {
      const name = labelled ? DATA.texts[text].shown[at] : `${at + 1}`;
      const words = fitted(name, size, left - 8);
      const middle = (at + 0.5) * side;
      scene.text(left - 5, top + middle, words, { size, align: "end" });
      scene.text(left + middle, top - 5, words, { size, angle: -90 });
    }
  }

  fill(scene, graphs, heaviest, { left, top, side, length }) {
    const { least } = this.page.state;
    const each = (visit) => {
      for (const graph of graphs) {
        for (let receiver = 0; receiver < length; receiver++) {
          const end = graph.starts[receiver + 1];
          for (let edge = graph.starts[receiver]; edge < end; edge++) {
            const weight = graph.weights[edge];
            if (weight < least) continue;
            visit(graph.sources[edge], receiver, weight, graph.direction);
          }
        }
      }
    };
    if (length > MOST_CELLS) {
      const count = Math.min(length, Math.max(1, Math.floor(side * length)));
      const scale = count / length;
      const canvas = cellCanvas(count, count, heaviest, length, (set) =>
        each((column, row, ...edge) =>
          set(Math.floor(column * scale), Math.floor(row * scale), ...edge),
        ),
      );
      scene.picture(left, top, side * length, side * length, canvas);
      return;
    }
    each((column, row, weight, direction) => {
      const opacity = darkness(weight, heaviest, length);
      const [x, y] = [left + column * side, top + row * side];
      scene.rectangle(x, y, side, side, colours()[direction], { opacity });
    });
  }

  scene() {
    const scenes = this.panels.map((panel, text) =>
      this.markedScene(panel, text, null),
    );
    const width = Math.max(...scenes.map((scene) => scene.width));
    const heading = DATA.texts[0].name ? 28 : 0;
    const heights = scenes.map((scene) => scene.height + heading);
    const total = heights.reduce((sum, height) => sum + height, 0);
    const whole = new Scene(width, total);
    let y = 0;
    scenes.forEach((scene, text) => {
      const { name } = DATA.texts[text];
      if (name) whole.text(4, y + 14, name, { size: 15, bold: true });
      whole.place(0, y + heading, scene);
      y += heights[text];
    });
    return whole;
  }
}

const SCALE = 160; // pixels, the width of the scale of darkness

// Draws which weight is how dark.
function drawScale(scene, x, y, graphs, heaviest) {
  const steps = 32;
  const { length } = graphs[0];
  graphs.forEach(({ direction }, row) => {
    for (let step = 0; step < steps; step++) {
      const weight = (heaviest * (step + 0.5)) / steps;
      const opacity = darkness(weight, heaviest, length);
      const place = [x + (SCALE * step) / steps, y + 9 * row];
      scene.rectangle(...place, SCALE / steps, 8, colours()[direction], {
        opacity,
      });
    }
  });
  const below = y + 9 * graphs.length + 9;
  scene.text(x, below, "0", { size: 11 });
  const most = heaviest.toPrecision(2);
  scene.text(x + SCALE, below, most, { size: 11, align: "middle" });
  scene.text(x + SCALE / 2, below, "weight", { size: 11, align: "middle" });
}
