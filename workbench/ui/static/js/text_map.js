// Texts as points, one map a model. Sentences go through textContent or Plotly's hover text, escaped.
const root = element.querySelector(".wb-map");
const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up", "star", "x", "pentagon", "triangle-down", "hexagon"];
// Okabe and Ito's colours and kin, told apart by most colour-blind readers; the symbol says the same.
const LIGHT = ["#0f766e", "#b45309", "#1d4ed8", "#be185d", "#4d7c0f", "#7c3aed", "#0369a1", "#a16207", "#9f1239", "#52525b"];
const DARK = ["#5eead4", "#fdba74", "#93c5fd", "#f9a8d4", "#bef264", "#c4b5fd", "#7dd3fc", "#fde047", "#fda4af", "#d4d4d8"];
const MOST_LABELS = SYMBOLS.length;
let plots = [];

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// Plotly reads a few tags (<b>, <br>) in hover text; a sentence is never markup. Long ones are broken into lines.
function hoverText(text, label) {
  const short = text.length > 240 ? `${text.slice(0, 239)}…` : text;
  const lines = (short.match(/.{1,60}(\s|$)|.{1,60}/g) || [""]).map((line) => line.trim());
  const safe = lines.map((line) => line.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"));
  const safeLabel = label ? [`(${label.slice(0, 60).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")})`] : [];
  return [...safe, ...safeLabel].join("<br>");
}

function groupsOf(texts, labels) {
  if (!labels.length) return [{ name: "", rows: texts.map((_, row) => row) }];
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) || 0) + 1);
  const kept = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, counts.size > MOST_LABELS ? MOST_LABELS - 1 : MOST_LABELS);
  const groups = kept.map((name) => ({ name: name || "(no label)", rows: [] }));
  const rest = { name: "other", rows: [] };
  labels.forEach((label, row) => (kept.includes(label) ? groups[kept.indexOf(label)] : rest).rows.push(row));
  return rest.rows.length ? [...groups, rest] : groups;
}

function renderEmpty() {
  const box = make("div", "wb-teach", root);
  make("h3", "", box, "What lies near what?");
  make("p", "", box, "Each text becomes a point; texts that a model finds similar lie near each other. Upload a file with a label column to colour the points: a model that understands your labels keeps each colour together.");
}

function render() {
  for (const plot of plots) Plotly.purge(plot);
  plots = [];
  root.replaceChildren();
  const { texts = [], labels = [], panels = [], note = "" } = props.value || {};
  root.dataset.state = panels.length ? "drawing" : "empty";
  root.dataset.points = String(texts.length);
  if (!panels.length) return renderEmpty();
  window.workbenchPlayground.answered("map");
  if (note) make("p", "wb-subdued wb-above", root, note);
  const picker = make("div", "wb-pick", root);
  const label = make("label", "", picker, "Show a text on the map");
  const select = make("select", "wb-select", picker);
  select.id = `wb-map-${Math.random().toString(36).slice(2)}`;
  label.htmlFor = select.id;
  make("option", "", select, "none").value = "";
  texts.forEach((text, row) => { make("option", "", select, text.length > 90 ? `${text.slice(0, 89)}…` : text).value = String(row); });
  const grid = make("div", "wb-two", root);
  // All boxes first: a plot takes the width its box has when it is drawn.
  const boxes = panels.map((panel) => {
    const figure = make("figure", "wb-chart", grid);
    make("figcaption", "", figure, panel.title);
    const box = make("div", "wb-plot", figure);
    make("p", "wb-subdued", figure, panel.caption);
    return box;
  });
  const detail = make("div", "wb-picked", root);
  detail.setAttribute("role", "status");
  detail.hidden = true;

  const dark = document.querySelector(".dark") !== null;
  const style = getComputedStyle(root);
  const ink = style.getPropertyValue("--body-text-color").trim() || "#222";
  const line = style.getPropertyValue("--border-color-primary").trim() || "#ddd";
  const groups = groupsOf(texts, labels);

  function pick(row) {
    select.value = row === null ? "" : String(row);
    detail.hidden = row === null;
    detail.replaceChildren();
    root.dataset.picked = row === null ? "" : String(row);
    panels.forEach((panel, index) => {
      Plotly.restyle(plots[index], { x: [row === null ? [] : [panel.x[row]]], y: [row === null ? [] : [panel.y[row]]] }, [groups.length]);
    });
    if (row === null) return;
    make("p", "", detail, labels.length ? `${texts[row]} (${labels[row] || "no label"})` : texts[row]);
    const more = make("button", "wb-button", detail, "Search for texts like this");
    more.type = "button";
    more.addEventListener("click", () => trigger("more", { text: texts[row] }));
  }

  panels.forEach((panel, index) => {
    const traces = groups.map((group, number) => ({
      type: "scatter",
      mode: "markers",
      name: group.name.length > 24 ? `${hoverText(group.name.slice(0, 23), "")}…` : hoverText(group.name, ""),
      x: group.rows.map((row) => panel.x[row]),
      y: group.rows.map((row) => panel.y[row]),
      customdata: group.rows,
      text: group.rows.map((row) => hoverText(texts[row], labels[row])),
      hovertemplate: "%{text}<extra></extra>",
      showlegend: labels.length > 0,
      marker: { size: texts.length > 400 ? 6 : 9, opacity: 0.8, symbol: SYMBOLS[number % SYMBOLS.length], color: (dark ? DARK : LIGHT)[number % LIGHT.length] },
    }));
    // The last trace rings the text that is picked.
    traces.push({ type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false, marker: { size: 20, symbol: "circle-open", color: ink, line: { width: 3 } } });
    const axis = { showticklabels: false, zeroline: false, gridcolor: line, fixedrange: true };
    Plotly.newPlot(
      boxes[index],
      traces,
      {
        height: 400,
        margin: { l: 8, r: 8, t: 8, b: 8 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: ink, size: 12, family: "system-ui, sans-serif" },
        xaxis: { ...axis },
        yaxis: { ...axis, scaleanchor: "x" }, // one scale for both, so that distances are what they look like
        legend: { orientation: "h", y: -0.02 },
        hoverlabel: { align: "left" },
      },
      { displayModeBar: false, responsive: true },
    );
    boxes[index].on("plotly_click", (event) => {
      const row = event.points[0].customdata;
      if (row !== undefined) pick(row);
    });
    plots.push(boxes[index]);
  });
  select.addEventListener("change", () => pick(select.value === "" ? null : Number(select.value)));
  make("p", "wb-subdued", root, "Hover over a point to read it; click it, or choose it in the list, to find it on both maps.");
  root.dataset.state = "ready";
}

watch("value", render);
render();
