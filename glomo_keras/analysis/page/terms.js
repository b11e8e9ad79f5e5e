// What is computed from the graphs: products of layers, mixtures, and the
// edges that pass the filters.

// Long texts: products drop what is below this share of its row's heaviest.
const FAINT = 1 / 510;
const LONG = 256;

const MIXTURE = -1; // stands in the place of a term's index

// The terms of a mixture in the order of GraphMixture: G1, G2, P2, G3, P3.
const TERMS = [];
for (let layer = 0; layer < DATA.layers; layer++) {
  TERMS.push({ layer, product: false, name: `layer ${layer + 1}` });
  if (layer > 0) {
    const factors = Array.from({ length: layer + 1 }, (_, i) => layer + 1 - i);
    TERMS.push({ layer, product: true, name: `layers ${factors.join("·")}` });
  }
}

// Makes a sparse graph row by row: fillRow(t, row) adds to the zeros in row.
function graphByRows(like, fillRow, leastShare = 0) {
  const { length, direction, oneSided } = like;
  const starts = new Uint32Array(length + 1);
  const sources = [];
  const weights = [];
  const row = new Float32Array(length);
  for (let receiver = 0; receiver < length; receiver++) {
    row.fill(0);
    fillRow(receiver, row);
    let heaviest = 0;
    for (const weight of row) if (weight > heaviest) heaviest = weight;
    const least = heaviest * leastShare;
    for (let source = 0; source < length; source++) {
      if (row[source] > 0 && row[source] >= least) {
        sources.push(source);
        weights.push(row[source]);
      }
    }
    starts[receiver + 1] = sources.length;
  }
  return {
    length,
    direction,
    oneSided,
    starts,
    sources: Uint16Array.from(sources),
    weights: Float32Array.from(weights),
  };
}

function addRow(row, graph, receiver, factor) {
  const end = graph.starts[receiver + 1];
  for (let edge = graph.starts[receiver]; edge < end; edge++) {
    row[graph.sources[edge]] += factor * graph.weights[edge];
  }
}

// The matrix product of two graphs, upper @ lower.
function multiply(upper, lower) {
  const leastShare = upper.length > LONG ? FAINT : 0;
  return graphByRows(
    upper,
    (receiver, row) => {
      const end = upper.starts[receiver + 1];
      for (let edge = upper.starts[receiver]; edge < end; edge++) {
        addRow(row, lower, upper.sources[edge], upper.weights[edge]);
      }
    },
    leastShare,
  );
}

// The weighted sum of graphs; parts are pairs [graph, weight].
function mix(like, parts) {
  return graphByRows(like, (receiver, row) => {
    for (const [graph, weight] of parts) addRow(row, graph, receiver, weight);
  });
}

// The terms of one text, made when they are asked for, and its mixture.
class Terms {
  constructor(graphs) {
    this.graphs = graphs;
    this.products = new Map();
    this.mixtures = {};
  }

  term(direction, index, head) {
    const { layer, product } = TERMS[index];
    const graphs = this.graphs[direction];
    if (!product) return graphs[layer][head];
    const key = `${direction} ${layer} ${head}`;
    if (!this.products.has(key)) {
      const lower =
        layer === 1 ? graphs[0][head] : this.term(direction, index - 2, head);
      this.products.set(key, multiply(graphs[layer][head], lower));
    }
    return this.products.get(key);
  }

  // The mixture with these weights [term][head], which need not sum to 1.
  mixture(direction, weights) {
    this.mixtures[direction] ??= this.mixNow(direction, weights);
    return this.mixtures[direction];
  }

  mixNow(direction, weights) {
    const total = weights.flat().reduce((sum, weight) => sum + weight, 0);
    const parts = [];
    weights.forEach((heads, index) =>
      heads.forEach((weight, head) => {
        if (weight > 0) {
          parts.push([this.term(direction, index, head), weight / total]);
        }
      }),
    );
    return mix(this.graphs[direction][0][0], parts);
  }

  forgetMixtures() {
    this.mixtures = {};
  }
}

// How many sources a receiver could have.
function admissible(graph, receiver) {
  if (!graph.oneSided) return graph.length;
  return graph.direction === "forward"
    ? receiver
    : graph.length - 1 - receiver;
}

// The edges of one receiver that pass the filters, the heaviest first.
function edgesOf(graph, receiver, filters) {
  const [start, end] = [graph.starts[receiver], graph.starts[receiver + 1]];
  let sum = 0;
  for (let edge = start; edge < end; edge++) sum += graph.weights[edge];
  const share = sum / admissible(graph, receiver);
  const edges = [];
  for (let edge = start; edge < end; edge++) {
    const weight = graph.weights[edge];
    if (weight < filters.least) continue;
    const excess = weight - share;
    if (filters.aboveShare && excess <= 1e-3 * share) continue;
    const { direction } = graph;
    const source = graph.sources[edge];
    edges.push({ receiver, source, weight, excess, direction });
  }
  edges.sort((a, b) => b.weight - a.weight);
  return edges.slice(0, filters.count);
}

function allEdges(graph, filters) {
  const edges = [];
  for (let receiver = 0; receiver < graph.length; receiver++) {
    edges.push(...edgesOf(graph, receiver, filters));
  }
  return edges;
}

// Those edges that are the furthest above the uniform share of their row.
function mostTelling(edges, count) {
  if (edges.length <= count) return edges;
  const sorted = [...edges].sort((a, b) => b.excess - a.excess);
  return sorted.slice(0, count);
}

// The weight of one edge, 0 if there is none.
function weightOf(graph, receiver, source) {
  const end = graph.starts[receiver + 1];
  for (let edge = graph.starts[receiver]; edge < end; edge++) {
    if (graph.sources[edge] === source) return graph.weights[edge];
  }
  return 0;
}

function heaviestOf(graph) {
  if (graph.heaviest === undefined) {
    graph.heaviest = 0;
    const end = graph.starts[graph.length];
    for (let edge = graph.starts[0]; edge < end; edge++) {
      const weight = graph.weights[edge];
      if (weight > graph.heaviest) graph.heaviest = weight;
    }
  }
  return graph.heaviest;
}
