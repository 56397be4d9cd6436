// Draws one or two matrices, each coloured by what the model itself makes of a pair: cosines of two models are not on one scale.
// All sentences go through textContent or Plotly's plain hover data.
const root = element.querySelector(".wb-heatmaps");

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const grid = make("div", "wb-heatmap-grid", root);
const detail = make("div", "wb-pair", root);
detail.setAttribute("role", "status");
detail.hidden = true;
let plots = [];

const isDark = () => document.querySelector(".dark") !== null;

function shorten(text) {
  return text.length > 26 ? `${text.slice(0, 25)}…` : text;
}

// Plotly reads a few tags (<b>, <br>) in labels; a sentence is never markup.
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

const figure = (number, digits) => `${number < 0 ? "−" : ""}${Math.abs(number).toFixed(digits)}`;

function decision(panel, row, column) {
  if (row === column) return "the same text";
  const count = (panel.matrix.length * (panel.matrix.length - 1)) / 2;
  const place = `place ${panel.places[row][column]} of ${count}`;
  return panel.matches ? `${panel.matches[row][column] ? "✓ match" : "no match"}, ${place}` : place;
}

function showPair(row, column) {
  const { texts, panels } = props.value;
  detail.replaceChildren();
  detail.hidden = false;
  make("p", "wb-pair-texts", detail, `${row + 1}. ${texts[row]}`);
  make("p", "wb-pair-texts", detail, `${column + 1}. ${texts[column]}`);
  const numbers = make("dl", "wb-numbers", detail);
  for (const panel of panels) {
    const pair = make("div", "", numbers);
    make("dt", "", pair, panel.title);
    make("dd", "", pair, `${decision(panel, row, column)} (cosine ${figure(panel.matrix[row][column], 3)})`);
  }
  const read = make("button", "wb-button", detail, "Read this pair word by word");
  read.type = "button";
  read.addEventListener("click", () => trigger("pair", { first: texts[row], second: texts[column] }));
}

// Numbers in the cells: what the model decides, or the share of pairs that are less similar; the cosine behind it.
function cellText(panel, row, column) {
  const cosine = figure(panel.matrix[row][column], 2);
  if (row === column) return "";
  if (panel.matches) return panel.matches[row][column] ? `✓ ${cosine}` : cosine;
  return `<b>${Math.round(100 * panel.shades[row][column])}%</b><br>${cosine}`;
}

// Below the threshold grey, from it on green: what counts as a match is seen at once, and how far it is from that. All shades are light
// enough (or dark enough) for the numbers on them.
function colours(panel, dark) {
  if (panel.matches) {
    return dark
      ? [[0, "#0b0f19"], [0.4999, "#374151"], [0.5, "#134e4a"], [1, "#0f766e"]]
      : [[0, "#ffffff"], [0.4999, "#d1d5db"], [0.5, "#b5f0e6"], [1, "#2bb6a5"]];
  }
  return dark ? [[0, "#0b0f19"], [1, "#0f766e"]] : [[0, "#ffffff"], [1, "#2bb6a5"]];
}

function outlines(labels, colour) {
  if (!labels.length) return [];
  const shapes = [];
  labels.forEach((label, row) => labels.forEach((other, column) => {
    if (label !== other || row === column) return;
    const box = { x0: column - 0.5, x1: column + 0.5, y0: row - 0.5, y1: row + 0.5 };
    shapes.push({ type: "rect", ...box, line: { color: colour, width: 2 } });
  }));
  return shapes;
}

function renderEmpty() {
  const box = make("div", "wb-heatmaps-empty", grid);
  make("h3", "", box, "Which texts does each model find similar?");
  make("p", "", box, "Press Compare: each model compares every text with every other and says which it takes for a match. A model that understands your domain matches texts of the same meaning, and not texts that only share words.");
}

function render() {
  const { texts = [], labels: groups = [], panels = [] } = props.value || {};
  for (const plot of plots) Plotly.purge(plot);
  plots = [];
  grid.replaceChildren();
  detail.hidden = true;
  root.dataset.state = "empty";
  if (!panels.length) return renderEmpty();
  const dark = isDark();
  const style = getComputedStyle(root);
  const textColour = style.getPropertyValue("--body-text-color").trim() || "#222";
  const narrow = root.clientWidth < 640;
  const labels = texts.map((text, index) => (narrow ? `${index + 1}` : `${index + 1}. ${plain(shorten(text))}`));
  const ticks = texts.map((_, index) => index);
  const outlined = panels.some((panel) => panel.groups);
  // All boxes first: a plot takes the width its box has when it is drawn.
  const boxes = panels.map((panel) => {
    const chart = make("figure", "wb-chart", grid);
    make("figcaption", "", chart, panel.title);
    make("p", "wb-heatmap-groups", chart, panel.groups);
    make("p", "wb-heatmap-scale", chart, panel.words);
    return make("div", "wb-plot", chart);
  });
  make("p", "wb-hint", grid, `${outlined ? "Outlined: texts of one group, which should match. " : ""}Click a cell to read the pair and its scores.`);
  root.dataset.state = "drawing";
  panels.forEach((panel, index) => {
    const plot = boxes[index];
    Plotly.newPlot(
      plot,
      [
        {
          type: "heatmap",
          z: panel.shades,
          x: ticks,
          y: ticks,
          zmin: 0,
          zmax: 1,
          colorscale: colours(panel, dark),
          xgap: 1,
          ygap: 1,
          showscale: false,
          text: texts.map((_, row) => texts.map((__, column) => cellText(panel, row, column))),
          customdata: texts.map((_, row) => texts.map((__, column) => `${decision(panel, row, column)}<br>cosine ${figure(panel.matrix[row][column], 3)}`)),
          texttemplate: texts.length <= 10 && !narrow ? "%{text}" : undefined,
          textfont: { size: 11, color: textColour },
          hovertemplate: "%{customdata}<extra></extra>",
        },
      ],
      {
        autosize: true,
        height: Math.max(300, Math.min(560, 120 + 26 * texts.length)),
        margin: { l: 8, r: 8, t: 8, b: 8 },
        shapes: outlined ? outlines(groups, textColour) : [],
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: textColour, size: 12, family: "system-ui, sans-serif" },
        xaxis: { tickvals: ticks, ticktext: ticks.map((tick) => `${tick + 1}`), automargin: true, showgrid: false, zeroline: false, fixedrange: true },
        yaxis: {
          tickvals: ticks,
          ticktext: index === 0 || narrow ? labels : ticks.map((tick) => `${tick + 1}`),
          autorange: "reversed",
          automargin: true,
          showgrid: false,
          zeroline: false,
          fixedrange: true,
        },
      },
      { displayModeBar: false, responsive: true },
    );
    plot.on("plotly_click", (event) => showPair(event.points[0].y, event.points[0].x));
    plots.push(plot);
  });
  root.dataset.state = "ready";
  window.workbenchPlayground.answered("matrix");
  if (window.workbenchPlayground.reveal) root.scrollIntoView({ block: "start" });
  window.workbenchPlayground.reveal = false;
}

watch("value", render);
render();
