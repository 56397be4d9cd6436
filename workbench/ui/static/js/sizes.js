// How good shorter and coarser vectors are, or how far they agree with the full ones. The choice is made in the browser; everything
// was measured beforehand.
const root = element.querySelector(".wb-sizes");
const chosen = { step: 0, precision: "float32" };
const PRECISION_WORDS = { float32: "float32 (4 bytes a number)", int8: "int8 (1 byte a number)", binary: "binary (1 bit a number)" };

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const count = (number) => number.toLocaleString("en-US");
const percent = (share) => `${Math.round(share * 100)}%`;
const plain = (number) => number === null ? "not measurable" : (number < 0 ? "−" : "") + Math.abs(number).toFixed(3);
const difference = (a, b) => (a === null || b === null ? null : a - b);
const signed = (number) => number === null ? "not measurable" : (Math.abs(number) < 0.0005 ? "±" : number < 0 ? "−" : "+") + Math.abs(number).toFixed(3);
const times = (ratio) => (ratio >= 10 ? Math.round(ratio) : Math.round(ratio * 10) / 10);

function renderEmpty() {
  const box = make("div", "wb-teach", root);
  make("h3", "", box, "How small can the vectors be?");
  make("p", "", box, "A vector database pays for every number of every vector. Press Measure: the vectors are cut short and rounded. For a run, and for what it started from, you see how good they still are on the run's own test rows; for any other model, how far they agree with the full vectors of your texts, of which thirty or more give a fair picture.");
}

// What a cell of the table says of a size, beside its bytes: two parts, one below the other where there is no room.
function cellWords(panel, size) {
  if (panel.measure === "agreement") return [`${plain(size.spearman)} / `, percent(size.neighbours)];
  const full = panel.sizes[0];
  return [`${plain(size.value)} `, size === full ? "" : `(${signed(difference(size.value, full.value))})`];
}

function captionWords(panel) {
  if (panel.measure === "agreement") return "Rank correlation kept / nearest neighbours kept. Below: bytes of a vector, which are also the MB of a million";
  return `${panel.metric}, the ${panel.words}; in brackets the difference from the full vectors. Below: bytes of a vector, which are also the MB of a million`;
}

// What the chosen size costs, as the end of the line under a model's name.
function costWords(panel, size) {
  if (panel.measure === "agreement") {
    return `${percent(size.neighbours)} of the nearest neighbours stay; the rank correlation (Spearman) with the similarities of the full vectors is ${plain(size.spearman)}.`;
  }
  const full = panel.sizes[0];
  const change = size === full ? "" : `, ${signed(difference(size.value, full.value))} against the full vectors' ${plain(full.value)}`;
  const base = panel.base === null ? "" : ` The base's full vectors have ${plain(panel.base)}.`;
  return `${panel.words[0].toUpperCase()}${panel.words.slice(1)}: ${plain(size.value)}${change}.${base}`;
}

function render() {
  root.replaceChildren();
  const value = props.value || {};
  const panels = value.panels || [];
  root.dataset.state = panels.length ? "ready" : "empty";
  if (!panels.length) return renderEmpty();
  window.workbenchPlayground.answered("sizes");
  if (value.note) make("p", "wb-subdued wb-above", root, value.note);
  const widths = panels.map((panel) => [...new Set(panel.sizes.map((size) => size.width))]);
  const steps = Math.max(...widths.map((each) => each.length));
  chosen.step = Math.min(chosen.step, steps - 1);

  const form = make("div", "wb-size-form", root);
  const sliderBox = make("div", "", form);
  const sliderLabel = make("label", "", sliderBox, "Numbers of a vector (truncate_dim)");
  const slider = make("input", "wb-slider", sliderBox);
  slider.type = "range";
  slider.min = "0";
  slider.max = String(steps - 1);
  slider.step = "1";
  slider.value = String(steps - 1 - chosen.step); // the full width is on the right
  slider.id = `wb-width-${Math.random().toString(36).slice(2)}`;
  sliderLabel.htmlFor = slider.id;
  const reading = make("output", "wb-subdued", sliderBox);
  reading.htmlFor = slider.id;
  const group = make("fieldset", "wb-precision", form);
  make("legend", "", group, "Precision");
  const name = `wb-precision-${Math.random().toString(36).slice(2)}`;
  for (const precision of value.precisions) {
    const label = make("label", "", group);
    const radio = make("input", "", label);
    radio.type = "radio";
    radio.name = name;
    radio.value = precision;
    radio.checked = precision === chosen.precision;
    make("span", "", label, PRECISION_WORDS[precision] || precision);
    radio.addEventListener("change", () => { chosen.precision = precision; show(); });
  }
  const grid = make("div", "wb-two", root);
  const cards = panels.map((panel) => {
    const card = make("article", "wb-card-plain", grid);
    make("h3", "", card, panel.title);
    card.dataset.measure = panel.measure;
    make("p", "wb-subdued wb-size-source", card, panel.source);
    const line = make("p", "wb-size-line", card);
    line.setAttribute("role", "status");
    const scroll = make("div", "wb-scroll", card);
    scroll.tabIndex = 0; // on a narrow window it scrolls, also by keyboard
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", `All sizes of ${panel.title}`);
    const table = make("table", "wb-size-table", scroll);
    make("caption", "", table, captionWords(panel));
    const head = make("tr", "", make("thead", "", table));
    make("th", "", head, "Numbers").scope = "col";
    for (const precision of value.precisions) make("th", "", head, precision).scope = "col";
    const body = make("tbody", "", table);
    const cells = new Map();
    const own = [...new Set(panel.sizes.map((size) => size.width))];
    own.forEach((width, step) => {
      const row = make("tr", "", body);
      make("th", "", row, count(width)).scope = "row";
      for (const precision of value.precisions) {
        const size = panel.sizes.find((each) => each.width === width && each.precision === precision);
        const cell = make("td", "", row);
        const [value, beside] = cellWords(panel, size);
        make("span", "wb-size-beside", make("span", "", cell, value), beside);
        make("span", "wb-subdued", cell, `${count(size.bytes)} B`);
        cells.set(`${step} ${precision}`, cell);
      }
    });
    return { panel, line, cells, own };
  });

  function show() {
    reading.textContent = widths.map((each) => `${count(each[Math.min(chosen.step, each.length - 1)])} of ${count(each[0])}`).filter((text, index, all) => all.indexOf(text) === index).join(", ");
    slider.setAttribute("aria-valuetext", reading.textContent);
    for (const { panel, line, cells, own } of cards) {
      const step = Math.min(chosen.step, own.length - 1);
      const size = panel.sizes.find((each) => each.width === own[step] && each.precision === chosen.precision);
      const full = panel.sizes[0];
      const ratio = full.bytes / size.bytes;
      line.textContent =
        `${count(size.bytes)} bytes a vector${ratio > 1 ? ` instead of ${count(full.bytes)} (${times(ratio)} times smaller)` : ""}, ` +
        `${count(size.bytes)} MB for a million texts. ${costWords(panel, size)}`;
      for (const [key, cell] of cells) {
        const current = key === `${step} ${chosen.precision}`;
        cell.toggleAttribute("data-chosen", current);
        if (current) cell.setAttribute("aria-current", "true");
        else cell.removeAttribute("aria-current");
      }
    }
    root.dataset.chosen = `${chosen.step} ${chosen.precision}`;
  }
  slider.addEventListener("input", () => { chosen.step = steps - 1 - Number(slider.value); show(); });
  show();
}

watch("value", render);
render();
