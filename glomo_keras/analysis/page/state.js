// What is chosen on the page, and the address that keeps it.

const MOST_EDGES = 20; // the end of the scale, which stands for all

const SHORT = 40; // words of a text that leaves room below it

function longestText() {
  return Math.max(...DATA.texts.map(({ length }) => length));
}

function firstState() {
  const { image } = DATA;
  return {
    view: image ? "pixels" : "text",
    term: 0,
    head: 0,
    direction: DATA.directions.length > 1 ? "both" : DATA.directions[0],
    count: image ? 8 : longestText() <= SHORT ? 3 : 1,
    least: 0,
    aboveShare: true,
    side: "sources",
    text: 0,
    word: image ? { text: 0, position: middleOf(image) } : null,
    products: false,
  };
}

function middleOf({ width, height }) {
  return Math.floor(height / 2) * width + Math.floor(width / 2);
}

// A reader returns undefined for what does not fit these data.
function choice(...values) {
  return (given) => values.find((value) => String(value) === given);
}

function integer(least, most) {
  return (given) => {
    const number = Number(given);
    const fits = Number.isInteger(number) && number >= least && number <= most;
    return fits ? number : undefined;
  };
}

// Words are written as TEXT.POSITION, both from 0.
function readWord(given) {
  const [text, position] = given.split(".");
  const place = { text: integer(0, DATA.texts.length - 1)(text) };
  if (place.text === undefined) return undefined;
  const last = DATA.texts[place.text].length - 1;
  place.position = integer(0, last)(position);
  return place.position === undefined ? undefined : place;
}

const READERS = {
  view: choice(DATA.image ? "pixels" : "text", "matrix"),
  term: integer(MIXTURE, TERMS.length - 1),
  head: integer(0, DATA.heads - 1),
  direction: choice("both", ...DATA.directions),
  count: integer(1, MOST_EDGES),
  least: (given) => (given >= 0 && given <= 1 ? Number(given) : undefined),
  aboveShare: choice(true, false),
  side: choice("sources", "receivers", "both"),
  text: integer(0, DATA.texts.length - 1),
  products: choice(true, false),
  word: readWord,
};

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const state = {};
  for (const [name, read] of Object.entries(READERS)) {
    const value = given.has(name) ? read(given.get(name)) : undefined;
    if (value !== undefined) state[name] = value;
  }
  if (TERMS[state.term]?.product) state.products = true;
  return state;
}

function writeAddress(state) {
  if (location.protocol === "about:") return; // in the frame of a notebook
  const first = written(firstState());
  const kept = Object.entries(written(state)).filter(
    ([name, value]) => value !== first[name],
  );
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
}

function written({ word, ...rest }) {
  const place = word ? `${word.text}.${word.position}` : "";
  return { ...rest, word: place };
}
