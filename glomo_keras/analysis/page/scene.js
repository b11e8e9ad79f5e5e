// A scene is a list of shapes, painted on a canvas or written as SVG, so that
// what is saved is what is seen.

class Scene {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.shapes = [];
  }

  rectangle(x, y, width, height, colour, options = {}) {
    const shape = { kind: "rectangle", x, y, width, height, colour };
    this.shapes.push({ ...shape, opacity: 1, line: 0, radius: 0, ...options });
  }

  // A cubic curve through points [x0, y0, x1, y1, x2, y2, x3, y3].
  curve(points, colour, options = {}) {
    const shape = { kind: "curve", points, colour };
    this.shapes.push({ ...shape, opacity: 1, line: 1, dash: [], ...options });
  }

  polygon(points, colour, options = {}) {
    this.shapes.push({ kind: "polygon", points, colour, opacity: 1, ...options });
  }

  // With `width`, a file keeps to it in whatever font it is shown.
  text(x, y, words, options = {}) {
    const shape = { kind: "text", x, y, words, colour: colours().text };
    const defaults = { size: 12, align: "start", angle: 0, bold: false };
    this.shapes.push({ ...shape, ...defaults, ...options });
  }

  // A small canvas, drawn with sharp pixels.
  picture(x, y, width, height, canvas) {
    this.shapes.push({ kind: "picture", x, y, width, height, canvas });
  }

  place(x, y, scene) {
    this.shapes.push({ kind: "scene", x, y, scene });
  }
}

function fontOf(shape) {
  const family = getComputedStyle(document.body).fontFamily;
  return `${shape.bold ? "600 " : ""}${shape.size}px ${family}`;
}

const PAINT = {
  rectangle(context, shape) {
    context.globalAlpha = shape.opacity;
    context.beginPath();
    const { x, y, width, height } = shape;
    context.roundRect(x, y, width, height, shape.radius);
    if (shape.line) {
      context.lineWidth = shape.line;
      context.strokeStyle = shape.colour;
      context.stroke();
    } else {
      context.fillStyle = shape.colour;
      context.fill();
    }
  },
  curve(context, shape) {
    const [x, y, ...rest] = shape.points;
    context.globalAlpha = shape.opacity;
    context.lineWidth = shape.line;
    context.strokeStyle = shape.colour;
    context.setLineDash(shape.dash);
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(...rest);
    context.stroke();
    context.setLineDash([]);
  },
  polygon(context, shape) {
    context.globalAlpha = shape.opacity;
    context.fillStyle = shape.colour;
    context.beginPath();
    for (const [x, y] of shape.points) context.lineTo(x, y);
    context.fill();
  },
  text(context, shape) {
    context.save();
    context.globalAlpha = 1;
    context.font = fontOf(shape);
    context.fillStyle = shape.colour;
    context.textAlign = shape.align === "middle" ? "center" : shape.align;
    context.textBaseline = "middle";
    context.translate(shape.x, shape.y);
    context.rotate((shape.angle * Math.PI) / 180);
    context.fillText(shape.words, 0, 0);
    context.restore();
  },
  picture(context, shape) {
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = false;
    const { canvas, x, y, width, height } = shape;
    context.drawImage(canvas, x, y, width, height);
  },
  scene(context, shape) {
    context.save();
    context.translate(shape.x, shape.y);
    paint(context, shape.scene);
    context.restore();
  },
};

function paint(context, scene) {
  context.lineCap = "round";
  for (const shape of scene.shapes) PAINT[shape.kind](context, shape);
  context.globalAlpha = 1;
}

// The width inside the padding of an element.
function roomIn(element) {
  const { paddingLeft, paddingRight } = getComputedStyle(element);
  const padding = parseFloat(paddingLeft) + parseFloat(paddingRight);
  return element.clientWidth - padding;
}

// Sizes a canvas for the screen and paints a scene on it.
function paintOn(canvas, scene) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [scene.width * scale, scene.height * scale];
  canvas.width = Math.round(width);
  canvas.height = Math.round(height);
  canvas.style.width = `${scene.width}px`;
  canvas.style.height = `${scene.height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  paint(context, scene);
}

const SVG = "http://www.w3.org/2000/svg";

function svgElement(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    const short = typeof value === "number" ? +value.toFixed(3) : value;
    element.setAttribute(key, short);
  }
  return element;
}

const WRITE = {
  rectangle({ x, y, width, height, colour, opacity, line, radius }) {
    const look = line
      ? { fill: "none", stroke: colour, "stroke-width": line, opacity }
      : { fill: colour, opacity };
    const box = { x, y, width, height, rx: radius };
    return svgElement("rect", { ...box, ...look });
  },
  curve({ points, colour, opacity, line, dash }) {
    const [x, y, ...rest] = points.map((number) => +number.toFixed(2));
    return svgElement("path", {
      d: `M${x} ${y}C${rest.join(" ")}`,
      fill: "none",
      stroke: colour,
      "stroke-width": line,
      "stroke-linecap": "round",
      ...(dash.length && { "stroke-dasharray": dash.join(" ") }),
      opacity,
    });
  },
  polygon({ points, colour, opacity }) {
    const corners = points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`);
    return svgElement("polygon", {
      points: corners.join(" "),
      fill: colour,
      opacity,
    });
  },
  text(shape) {
    const element = svgElement("text", {
      transform: `translate(${shape.x.toFixed(2)} ${shape.y.toFixed(2)}) rotate(${shape.angle})`,
      fill: shape.colour,
      "font-size": shape.size,
      "font-weight": shape.bold ? 600 : 400,
      "text-anchor": shape.align,
      dy: "0.35em",
      ...(shape.width && {
        textLength: shape.width,
        lengthAdjust: "spacingAndGlyphs",
      }),
    });
    element.textContent = shape.words;
    return element;
  },
  picture({ x, y, width, height, canvas }) {
    return svgElement("image", {
      ...{ x, y, width, height },
      href: canvas.toDataURL(),
      preserveAspectRatio: "none",
      style: "image-rendering: pixelated",
    });
  },
  scene({ x, y, scene }) {
    const group = svgElement("g", { transform: `translate(${x} ${y})` });
    group.append(...writeShapes(scene));
    return group;
  },
};

function writeShapes(scene) {
  return scene.shapes.map((shape) => WRITE[shape.kind](shape));
}

// Returns a scene on the page's background as the text of an SVG file.
function svgOf(scene) {
  const { width, height } = scene;
  const root = svgElement("svg", {
    ...{ width, height },
    viewBox: `0 0 ${width} ${height}`,
    "font-family": getComputedStyle(document.body).fontFamily,
  });
  const fill = colours().background;
  root.append(svgElement("rect", { width, height, fill }));
  root.append(...writeShapes(scene));
  return new XMLSerializer().serializeToString(root);
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function saveSvg(scene, name) {
  const blob = new Blob([svgOf(scene)], { type: "image/svg+xml" });
  download(blob, `${name}.svg`);
}

// Twice the size on the screen, or less where a canvas could not hold it.
function savePng(scene, name) {
  const most = 16000;
  const scale = Math.min(2, most / scene.width, most / scene.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(scene.width * scale);
  canvas.height = Math.round(scene.height * scale);
  const context = canvas.getContext("2d");
  context.fillStyle = colours().background;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  paint(context, scene);
  canvas.toBlob((blob) => download(blob, `${name}.png`));
}
