// Draws one or two matrices on a common colour scale. All sentences go through textContent or Plotly's plain hover data.
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
    make("dd", "", pair, panel.matrix[row][column].toFixed(3));
  }
  if (panels.length === 2) {
    const difference = panels[0].matrix[row][column] - panels[1].matrix[row][column];
    const pair = make("div", "", numbers);
    make("dt", "", pair, "Difference");
    make("dd", "", pair, `${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(3)}`);
  }
  const read = make("button", "wb-button", detail, "Read this pair word by word");
  read.type = "button";
  read.addEventListener("click", () => trigger("pair", { first: texts[row], second: texts[column] }));
}

function renderEmpty() {
  const box = make("div", "wb-heatmaps-empty", grid);
  make("h3", "", box, "Which texts does each model take for alike?");
  make("p", "", box, "Press Compare: every text is held against every other, once by each model. A model that understands your domain gives texts of the same meaning a high cosine, and texts that only share words a low one.");
}

function render() {
  const { texts = [], panels = [] } = props.value || {};
  for (const plot of plots) Plotly.purge(plot);
  plots = [];
  grid.replaceChildren();
  detail.hidden = true;
  root.dataset.state = "empty";
  if (!panels.length) return renderEmpty();
  const numbers = panels.flatMap((panel) => panel.matrix.flat());
  // One scale for both, from just below the lowest cosine: many models keep all of theirs in a narrow band.
  const low = Math.floor(Math.min(...numbers, 0.9) * 10) / 10;
  const dark = isDark();
  const style = getComputedStyle(root);
  const textColour = style.getPropertyValue("--body-text-color").trim() || "#222";
  const narrow = root.clientWidth < 640;
  const labels = texts.map((text, index) => (narrow ? `${index + 1}` : `${index + 1}. ${plain(shorten(text))}`));
  const ticks = texts.map((_, index) => index);
  // All boxes first: a plot takes the width its box has when it is drawn.
  const boxes = panels.map((panel) => {
    const figure = make("figure", "wb-chart", grid);
    make("figcaption", "", figure, panel.title);
    return make("div", "wb-plot", figure);
  });
  make("p", "wb-hint", grid, "Click a cell to read the pair and its scores.");
  root.dataset.state = "drawing";
  panels.forEach((panel, index) => {
    const plot = boxes[index];
    Plotly.newPlot(
      plot,
      [
        {
          type: "heatmap",
          z: panel.matrix,
          x: ticks,
          y: ticks,
          zmin: low,
          zmax: 1,
          colorscale: dark
            ? [[0, "#1f2937"], [0.5, "#0f766e"], [1, "#99f6e4"]]
            : [[0, "#f8fafc"], [0.5, "#5eead4"], [1, "#115e59"]],
          xgap: 1,
          ygap: 1,
          showscale: index === panels.length - 1,
          colorbar: { thickness: 10, len: 0.9, outlinewidth: 0, tickfont: { size: 11 } },
          texttemplate: texts.length <= 8 && !narrow ? "%{z:.2f}" : undefined,
          textfont: { size: 11 },
          hovertemplate: "cosine %{z:.3f}<extra></extra>",
        },
      ],
      {
        autosize: true,
        height: Math.max(300, Math.min(560, 120 + 26 * texts.length)),
        margin: { l: 8, r: 8, t: 8, b: 8 },
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
}

watch("value", render);
render();
