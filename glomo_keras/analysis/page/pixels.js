// The image view: the image with the edges of the chosen pixel, and the map
// of their weights. The overview shows that map for every head.

const HEADING = 26; // pixels above the image and above the map

class PixelsView {
  constructor(page) {
    this.page = page;
    this.element = document.getElementById("pixels");
    const { width, height, data } = DATA.image;
    this.image = imageCanvas(width, height, fromBase64(data));
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "image");
    this.canvas.setAttribute(
      "aria-label",
      `Image of ${height} rows and ${width} columns. Arrow keys choose a pixel.`,
    );
    this.element.append(this.canvas);
    this.listen();
  }

  listen() {
    const { width, height } = DATA.image;
    const pixelAt = ({ offsetX, offsetY }) => {
      const { side, mapX, mapY } = this.frame;
      const onMap = offsetX >= mapX && offsetY >= mapY;
      const x = Math.floor((offsetX - (onMap ? mapX : 0)) / side);
      const y = Math.floor((offsetY - (onMap ? mapY : HEADING)) / side);
      const inside = x >= 0 && y >= 0 && x < width && y < height;
      return inside ? { text: 0, position: y * width + x } : null;
    };
    this.canvas.addEventListener("click", (event) => {
      const place = pixelAt(event);
      if (place) this.page.choose(place, { keep: true });
    });
    this.canvas.addEventListener("keydown", (event) => {
      const steps = {
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0],
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
      };
      const step = steps[event.key];
      if (!step) return;
      const { position } = this.page.state.word;
      const row = Math.floor(position / width) + step[0];
      const column = (position % width) + step[1];
      if (row >= 0 && row < height && column >= 0 && column < width) {
        const next = { text: 0, position: row * width + column };
        this.page.choose(next, { keep: true, aloud: true });
      }
      event.preventDefault();
    });
  }

  resize() {
    this.draw();
  }

  draw() {
    paintOn(this.canvas, this.scene());
  }

  scene() {
    const { width, height } = DATA.image;
    const room = roomIn(this.element) - 2;
    const abreast = room > 640;
    const wide = abreast ? (room - 24) / 2 : room;
    const side = Math.max(2, Math.floor(Math.min(wide / width, 480 / height)));
    const [x, y] = abreast
      ? [side * width + 24, HEADING]
      : [0, side * height + 2 * HEADING + 12];
    this.frame = { side, mapX: x, mapY: y };
    const scene = new Scene(x + side * width + 2, y + side * height + 2);
    scene.text(0, HEADING / 2, "Image", { size: 13, bold: true });
    scene.picture(0, HEADING, side * width, side * height, this.image);
    this.drawLines(scene, side);
    this.drawMap(scene, x, y, side);
    return scene;
  }

  // Lines from the heaviest sources to the chosen pixel, light on dark, so
  // that they show on any image.
  drawLines(scene, side) {
    const { position } = this.page.state.word;
    const { width } = DATA.image;
    const centre = (at) => [
      ((at % width) + 0.5) * side,
      (Math.floor(at / width) + 0.5) * side + HEADING,
    ];
    const edges = this.page
      .edges(0)
      .filter((edge) => this.page.touches(edge, position));
    for (const edge of edges) {
      const other = edge.receiver === position ? edge.source : edge.receiver;
      const [x, y] = centre(other);
      const [toX, toY] = centre(position);
      const line = [x, y, x, y, toX, toY, toX, toY];
      scene.curve(line, "#000000", { line: 4.5, opacity: 0.75 });
      const tint = { forward: "#7cc4ff", backward: "#ffb066" };
      scene.curve(line, tint[edge.direction], { line: 2 });
      outline(scene, x, y, side);
    }
    outline(scene, ...centre(position), side, 1);
  }

  drawMap(scene, x, y, side) {
    const { width, height } = DATA.image;
    const { position } = this.page.state.word;
    const rows = this.page.shownGraphs(0);
    const heaviest = heaviestInRows(rows, position);
    const title = `Weights up to ${heaviest.toPrecision(2)}`;
    scene.text(x, y - HEADING / 2, title, { size: 13, bold: true });
    const canvas = rowCanvas(rows, position);
    scene.picture(x, y, side * width, side * height, canvas);
    scene.rectangle(x, y, side * width, side * height, colours().faint, {
      line: 1,
    });
    const [column, row] = [position % width, Math.floor(position / width)];
    const [left, top] = [x + column * side, y + row * side];
    scene.rectangle(left, top, side, side, colours().mark, { line: 2 });
  }
}

function outline(scene, x, y, side, grow = 0) {
  const half = side / 2 + grow;
  const box = [x - half, y - half, 2 * half, 2 * half];
  scene.rectangle(...box, "#000000", { line: 3 });
  scene.rectangle(...box, "#ffffff", { line: 1.2 });
}

function imageCanvas(width, height, bytes) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    image.data.set(bytes.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function heaviestInRows(graphs, receiver) {
  const rows = graphs.map((graph) =>
    graph.weights.subarray(graph.starts[receiver], graph.starts[receiver + 1]),
  );
  return Math.max(0, ...rows.map((row) => Math.max(0, ...row)));
}

// The edges into one pixel, as a picture of the image's size.
function rowCanvas(graphs, receiver) {
  const { width, height } = DATA.image;
  const heaviest = heaviestInRows(graphs, receiver);
  return cellCanvas(width, height, heaviest, 1, (set) => {
    for (const graph of graphs) {
      const end = graph.starts[receiver + 1];
      for (let edge = graph.starts[receiver]; edge < end; edge++) {
        const source = graph.sources[edge];
        const row = Math.floor(source / width);
        set(source % width, row, graph.weights[edge], graph.direction);
      }
    }
  });
}
