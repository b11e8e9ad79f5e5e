// The text view: words with lines between them.
//
// The words are elements of the page, so that they wrap, can be selected and
// are read by screen readers; the lines are painted on a canvas behind them.

const LAYOUTS = [
  { most: 16, size: 22, gap: 90, arrows: true },
  { most: 40, size: 18, gap: 74, arrows: true },
  { most: 200, size: 16, gap: 38, arrows: true },
  { most: Infinity, size: 14, gap: 22, arrows: false },
];

const MOST_LINES = 300; // that are drawn while no word is chosen

const PADDING = 3; // pixels left and right of a word, as in page.css

class WordsView {
  constructor(page) {
    this.page = page;
    this.element = document.getElementById("words");
    this.panels = DATA.texts.map((text, index) => this.makePanel(text, index));
    this.element.append(...this.panels.map((panel) => panel.section));
  }

  makePanel(text, index) {
    const layout = LAYOUTS.find(({ most }) => text.length <= most);
    const section = document.createElement("section");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const list = document.createElement("div");
    list.className = "word-list";
    list.dir = "auto";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", text.name || "Words");
    list.style.setProperty("--size", `${layout.size}px`);
    list.style.setProperty("--gap", `${layout.gap}px`);
    const words = text.shown.map((word, at) => makeWord(text, word, at));
    words.forEach((word) => list.append(word, " "));
    if (words.length) words[0].tabIndex = 0;
    if (text.name) {
      const heading = document.createElement("h3");
      heading.textContent = text.name;
      section.append(heading);
    }
    const sheet = document.createElement("div");
    sheet.className = "sheet";
    sheet.append(canvas, list);
    section.append(sheet);
    this.listen(list, words, index);
    return { section, sheet, canvas, list, words, layout, boxes: null };
  }

  listen(list, words, text) {
    const page = this.page;
    const positionOf = (event) => {
      const word = event.target.closest(".word");
      return word ? { text, position: words.indexOf(word) } : null;
    };
    list.addEventListener("pointerover", (event) => {
      const place = positionOf(event);
      if (event.pointerType !== "touch" && place) page.point(place);
    });
    list.addEventListener("pointerleave", () => page.point(null));
    list.addEventListener("focusin", (event) => {
      if (event.target.matches(":focus-visible")) {
        page.point(positionOf(event), { aloud: true });
      }
    });
    list.addEventListener("focusout", () => page.point(null));
    list.addEventListener("click", (event) => {
      const place = positionOf(event);
      if (place) page.choose(place);
    });
    list.addEventListener("keydown", (event) => this.onKey(event, text));
  }

  onKey(event, text) {
    const { words, boxes } = this.panels[text];
    const now = words.indexOf(document.activeElement);
    if (now < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      this.page.choose({ text, position: now });
    } else {
      const next = nextWord(event.key, now, boxes);
      if (next === undefined) return;
      this.focus(text, next);
    }
    event.preventDefault();
  }

  focus(text, position) {
    const { words } = this.panels[text];
    words.forEach((word, at) => (word.tabIndex = at === position ? 0 : -1));
    words[position].focus();
  }

  // Reads where the words stand; after that they have not moved.
  measure() {
    for (const panel of this.panels) {
      const origin = panel.sheet.getBoundingClientRect();
      panel.size = [origin.width, origin.height];
      panel.boxes = panel.words.map((word) => {
        const box = word.getBoundingClientRect();
        return {
          x: box.left - origin.left,
          y: box.top - origin.top,
          width: box.width,
          height: box.height,
        };
      });
    }
  }

  resize() {
    this.measure();
    this.draw();
  }

  draw() {
    this.panels.forEach((panel, text) => {
      if (!panel.boxes) return;
      const chosen = this.page.state.word;
      panel.words.forEach((word, position) => {
        const same = chosen?.text === text && chosen.position === position;
        if ((word.getAttribute("aria-selected") === "true") !== same) {
          word.setAttribute("aria-selected", same);
        }
      });
      paintOn(panel.canvas, this.edgeScene(panel, text));
    });
  }

  // The lines of one text, and the shades behind its words.
  edgeScene(panel, text) {
    const scene = new Scene(...panel.size);
    const active = this.page.active();
    const here = active?.text === text ? active.position : null;
    const edges = this.page.edges(text);
    const near = edges.filter((edge) => this.page.touches(edge, here));
    const far = here === null ? mostTelling(edges, MOST_LINES) : [];
    if (here !== null) this.shade(scene, panel, text, here);
    for (const edge of far) drawEdge(scene, panel, edge, 0.75);
    if (here !== null) for (const edge of near) drawEdge(scene, panel, edge, 1);
    return scene;
  }

  // Shades the words that the active one looks at, the heavier the darker.
  shade(scene, panel, text, here) {
    for (const edge of this.page.wordEdges({ text, position: here })) {
      const other = edge.receiver === here ? edge.source : edge.receiver;
      const { x, y, width, height } = panel.boxes[other];
      scene.rectangle(x, y, width, height, colours()[edge.direction], {
        opacity: 0.5 * Math.sqrt(Math.min(1, edge.weight)),
        radius: 4,
      });
    }
    const { x, y, width, height } = panel.boxes[here];
    scene.rectangle(x, y, width, height, colours().mark, { line: 2, radius: 4 });
  }

  // All texts with their words, for a file.
  scene() {
    const height = this.panels.reduce((sum, panel) => sum + panel.size[1], 0);
    const names = DATA.texts.map(({ name }) => (name ? 28 : 0));
    const total = height + names.reduce((sum, each) => sum + each, 0);
    const scene = new Scene(this.panels[0].size[0], total);
    let y = 0;
    this.panels.forEach((panel, text) => {
      const { name } = DATA.texts[text];
      if (name) scene.text(4, y + 14, name, { size: 15, bold: true });
      y += names[text];
      const sheet = this.edgeScene(panel, text);
      panel.boxes.forEach((box, position) => {
        const { size } = panel.layout;
        const width = box.width - 2 * PADDING;
        const word = DATA.texts[text].shown[position];
        const words = fitted(word, size, width + 1);
        const [x, middle] = [box.x + box.width / 2, box.y + box.height / 2];
        sheet.text(x, middle, words, { size, align: "middle", width });
      });
      scene.place(0, y, sheet);
      y += panel.size[1];
    });
    return scene;
  }
}

function makeWord(text, word, position) {
  const element = document.createElement("span");
  element.className = "word";
  element.textContent = word;
  element.tabIndex = -1;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", "false");
  element.setAttribute("aria-posinset", position + 1);
  element.setAttribute("aria-setsize", text.length);
  return element;
}

// The word that a key leads to from the word `now`.
function nextWord(key, now, boxes) {
  const last = boxes.length - 1;
  const rightToLeft = last > 0 && boxes[0].y === boxes[1].y
    && boxes[1].x < boxes[0].x;
  const step = rightToLeft ? -1 : 1;
  if (key === "ArrowRight") return Math.min(last, Math.max(0, now + step));
  if (key === "ArrowLeft") return Math.min(last, Math.max(0, now - step));
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
  const down = key === "ArrowDown" ? 1 : -1;
  const from = boxes[now];
  const away = (box) => (box.y - from.y) * down;
  const lines = boxes.filter((box) => away(box) > 1).map(away);
  if (!lines.length) return now;
  const line = Math.min(...lines) + 1;
  const centre = from.x + from.width / 2;
  let [best, least] = [now, Infinity];
  boxes.forEach((box, position) => {
    const distance = Math.abs(box.x + box.width / 2 - centre);
    if (away(box) > 1 && away(box) <= line && distance < least) {
      [best, least] = [position, distance];
    }
  });
  return best;
}

// Draws an edge as a line that ends, with an arrow, at its receiver.
function drawEdge(scene, panel, edge, strength) {
  const from = panel.boxes[edge.source];
  const to = panel.boxes[edge.receiver];
  const colour = colours()[edge.direction];
  const opacity = strength * (0.25 + 0.75 * Math.sqrt(edge.weight));
  const line = 0.8 + 3.2 * Math.min(1, edge.weight);
  const points = curvePoints(from, to, edge.direction, panel.layout.gap);
  scene.curve(points, colour, { opacity, line });
  if (panel.layout.arrows || strength === 1) {
    const [x, y] = points.slice(6);
    const side = Math.sign(points[5] - y) || -1;
    const half = 2.2 + line / 2;
    const base = y + side * 2.2 * half;
    scene.polygon([[x, y], [x - half, base], [x + half, base]], colour, {
      opacity,
    });
  }
}

// Words of one line are joined by an arc, above it for a forward graph and
// below it for a backward graph; others by a line between facing sides.
function curvePoints(from, to, direction, gap) {
  const across = to.x + to.width / 2 - from.x - from.width / 2;
  const lean = Math.sign(across) * 0.18;
  const x0 = from.x + from.width * (0.5 + lean);
  const x3 = to.x + to.width * (0.5 - lean);
  if (Math.abs(from.y - to.y) < from.height / 2) {
    const above = direction === "forward";
    const y = above ? from.y - 1 : from.y + from.height + 1;
    const reach = Math.min(gap * 1.15, 12 + 0.3 * Math.abs(across));
    const bend = above ? y - reach : y + reach;
    return [x0, y, x0, bend, x3, bend, x3, y];
  }
  const down = to.y > from.y;
  const y0 = down ? from.y + from.height + 1 : from.y - 1;
  const y3 = down ? to.y - 1 : to.y + to.height + 1;
  const bend = Math.max(Math.abs(y3 - y0) * 0.5, gap * 0.6) * (down ? 1 : -1);
  return [x0, y0, x0, y0 + bend, x3, y3 - bend, x3, y3];
}
