// Colours, light or dark, and weights as shades of them.

// The colours of the page, from its style sheet, light or dark.
function colours() {
  if (!colours.now) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    colours.now = Object.fromEntries(
      ["background", "panel", "text", "faint", "forward", "backward", "mark"].map(
        (name) => [name, read(name)],
      ),
    );
  }
  return colours.now;
}

function forgetColours() {
  colours.now = null;
}

function channels(colour) {
  const number = parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

// How dark a weight is drawn. The root tells small weights apart: the square
// root, or in long texts, whose weights are smaller, the cube root.
function darkness(weight, heaviest, length) {
  const root = length > MOST_LABELLED ? Math.cbrt : Math.sqrt;
  return heaviest > 0 ? root(Math.min(1, weight / heaviest)) : 0;
}

// A canvas of cells; visit(set) calls set(column, row, weight, direction), and
// of several weights of a cell the heaviest stays.
function cellCanvas(columns, rows, heaviest, length, visit) {
  const weights = new Float32Array(columns * rows);
  const directions = new Array(columns * rows);
  visit((column, row, weight, direction) => {
    const cell = row * columns + column;
    if (weight > weights[cell]) {
      weights[cell] = weight;
      directions[cell] = direction;
    }
  });
  const tints = {
    forward: channels(colours().forward),
    backward: channels(colours().backward),
  };
  const image = new ImageData(columns, rows);
  weights.forEach((weight, cell) => {
    if (weight === 0) return;
    const alpha = Math.round(255 * darkness(weight, heaviest, length));
    image.data.set([...tints[directions[cell]], alpha], 4 * cell);
  });
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
