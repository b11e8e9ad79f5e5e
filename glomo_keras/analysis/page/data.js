// The data of the page: texts or an image, and their graphs as sparse rows.
//
// A graph is {length, direction, oneSided, starts, sources, weights}: the
// edges of receiver t are those from starts[t] up to starts[t + 1], in the
// order of their sources.

const DATA = JSON.parse(document.getElementById("data").textContent);

function fromBase64(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Returns the graphs of one direction of one text, [layer][head].
async function readGraphs(packed, length, direction) {
  const buffer = await inflate(fromBase64(packed.data));
  const rows = DATA.layers * DATA.heads * length;
  const count = packed.edges;
  const maxima = new Float32Array(buffer, 0, rows);
  const counts = new Uint16Array(buffer, 4 * rows, rows);
  const gaps = new Uint16Array(buffer, 6 * rows, count);
  const Levels = packed.bits === 8 ? Uint8Array : Uint16Array;
  const levels = new Levels(buffer, 6 * rows + 2 * count, count);
  const sources = new Uint16Array(count);
  const weights = new Float32Array(count);
  const starts = new Uint32Array(rows + 1);
  for (let row = 0, edge = 0; row < rows; row++) {
    const step = maxima[row] / (2 ** packed.bits - 1);
    const end = edge + counts[row];
    for (let source = 0; edge < end; edge++) {
      source += gaps[edge];
      sources[edge] = source;
      weights[edge] = levels[edge] * step;
    }
    starts[row + 1] = end;
  }
  const graphOf = (index) => ({
    length,
    direction,
    oneSided: packed.oneSided,
    starts: starts.subarray(index * length, (index + 1) * length + 1),
    sources,
    weights,
  });
  return Array.from({ length: DATA.layers }, (_, layer) =>
    Array.from({ length: DATA.heads }, (_, head) =>
      graphOf(layer * DATA.heads + head),
    ),
  );
}

// Returns, for each text, {forward: [layer][head], backward: ...}.
async function readTexts() {
  return Promise.all(
    DATA.texts.map(async (text) => {
      const graphs = {};
      for (const direction of DATA.directions) {
        const packed = text.graphs[direction];
        graphs[direction] = await readGraphs(packed, text.length, direction);
      }
      return graphs;
    }),
  );
}

// Returns a token as it can be seen: signs without a shape get one.
function visible(token) {
  const shaped = Array.from(token, (sign) => {
    const code = sign.codePointAt(0);
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    const unpaired = code >= 0xd800 && code <= 0xdfff;
    const unused = code === 127 || (code & 0xfffe) === 0xfffe;
    return unpaired || unused ? "\ufffd" : sign;
  }).join("");
  return shaped.trim() ? shaped : "␣".repeat(Math.max(1, shaped.length));
}

// Returns the name of a position: its word, or the place of its pixel.
function nameOf(text, position) {
  if (!DATA.image) return DATA.texts[text].shown[position];
  const width = DATA.image.width;
  return `row ${Math.floor(position / width) + 1}, column ${(position % width) + 1}`;
}

function prepareTexts() {
  for (const text of DATA.texts) {
    text.shown = (text.tokens ?? []).map(visible);
  }
}
