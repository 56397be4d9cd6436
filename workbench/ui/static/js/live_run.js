// Shows one run and polls it once a second while it can be seen. All text goes through textContent.
const root = element.querySelector(".wb-live");
const ENDED = ["completed", "stopped", "failed", "interrupted"];
const WORDS = {
  queued: "Queued",
  running: "Running",
  stopping: "Stopping",
  completed: "Completed",
  stopped: "Stopped",
  failed: "Failed",
  interrupted: "Interrupted",
};
const VERDICTS = { better: "Better", no_clear_difference: "No clear difference", worse: "Worse", not_judged: "Not judged" };
const POLL_MS = 1000;

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const empty = make("div", "wb-empty", root);
make("h3", "", empty, "Nothing is training");
make("p", "", empty, "Press Start training, or Quick start at the top. Then you see here, while it learns and after a reload too:");
const promise = make("ul", "wb-empty-list", empty);
for (const [what, why] of [
  ["Loss", "falls as the model learns; so you can see that it is still learning."],
  ["Held-out metric", "how good it is on rows it does not learn from, against the base encoder."],
  ["Cosines", "right and wrong partners drifting apart."],
  ["Your sentences", "how similar the model finds them, step by step."],
  ["Verdict", "better than the base or not, on rows it never saw."],
]) {
  const item = make("li", "", promise);
  make("strong", "", item, what);
  item.append(` ${why}`);
}

const body = make("div", "wb-live-body", root);
const head = make("div", "wb-live-head", body);
head.id = `${props.prefix}-head`;
const name = make("h3", "wb-live-name", head);
const badge = make("span", "wb-badge", head);
const facts = make("span", "wb-live-facts", head);
const stopBox = make("div", "wb-live-stop", head);
const keepLabel = make("label", "wb-sr-only", stopBox, "On stop");
const keep = make("select", "wb-select", stopBox);
keep.id = `wb-keep-${Math.random().toString(36).slice(2)}`;
keepLabel.htmlFor = keep.id;
for (const [value, text] of [["best", "keep the best so far"], ["latest", "keep the latest"], ["none", "keep nothing"]]) {
  make("option", "", keep, text).value = value;
}
const stop = make("button", "wb-button wb-button-stop", stopBox, "Stop");
stop.type = "button";

const connection = make("p", "wb-notice", body, "Connection lost, retrying…");
connection.dataset.tone = "warning";
connection.setAttribute("role", "status");
connection.hidden = true;

const status = make("div", "wb-live-status", body);
const progress = make("progress", "wb-progress", status);
progress.setAttribute("aria-label", "Progress of the run");
const line = make("p", "wb-live-line", status);
line.setAttribute("role", "status");

const verdict = make("div", "wb-verdict", body);
verdict.id = `${props.prefix}-verdict`;
verdict.tabIndex = -1;
verdict.hidden = true;
const verdictTitle = make("strong", "", verdict);
const verdictSentence = make("p", "", verdict);
const verdictGeneral = make("p", "wb-verdict-general", verdict);
const verdictWarnings = make("div", "wb-verdict-warnings", verdict);
const verdictNumbers = make("dl", "wb-numbers", verdict);
const tryButton = make("button", "wb-button", verdict, "Compare in the playground");
tryButton.type = "button";

const drawing = window.workbenchCharts;
const charts = make("div", "wb-charts", body);
function makeChart(key, title, term) {
  const figure = make("figure", "wb-chart", charts);
  figure.dataset.chart = key;
  const caption = make("figcaption", "wb-chart-head", figure);
  make("span", "", caption, title);
  const hint = make("span", "wb-term", caption, term);
  const readout = make("span", "wb-readout", caption);
  const plot = make("div", "wb-plot", figure);
  return { hint, readout, plot, drawn: false };
}
const lossChart = makeChart("loss", "Training loss", "lower is better");
const metricChart = makeChart("metric", "Held-out metric", "on the validation part");
const rateChart = makeChart("learning_rate", "Learning rate", "learning rate");
const gradientChart = makeChart("grad_norm", "Gradient norm", "gradient norm");
const zoomHint = make("p", "wb-hint wb-zoom-hint", body, "Drag over a curve to zoom in, double-click to see all of it; it stays zoomed while points arrive.");

const evaluationBox = make("section", "wb-evaluations", body);
evaluationBox.setAttribute("aria-label", "What each evaluation saw");
const scrubBox = make("div", "wb-scrub", evaluationBox);
make("h4", "", scrubBox, "What each evaluation saw");
const scrubLabel = make("label", "wb-sr-only", scrubBox, "Step of the evaluation shown");
const scrub = make("input", "", scrubBox);
scrub.type = "range";
scrub.min = "0";
scrub.max = "0";
scrub.step = "1";
scrub.disabled = true;
scrub.id = `wb-scrub-${Math.random().toString(36).slice(2)}`;
scrubLabel.htmlFor = scrub.id;
const scrubText = make("output", "wb-scrub-text", scrubBox, "no evaluation yet");
scrubText.htmlFor = scrub.id;
const views = make("div", "wb-charts", evaluationBox);

const cosineFigure = make("figure", "wb-chart wb-cosines", views);
const cosineHead = make("figcaption", "wb-chart-head", cosineFigure);
make("span", "", cosineHead, "Similar and dissimilar pairs");
make("span", "wb-term", cosineHead, "cosines, held out");
const cosinePlot = make("div", "wb-plot", cosineFigure);
const cosineWords = make("p", "wb-words", cosineFigure);

const watchFigure = make("figure", "wb-chart wb-watch", views);
const watchHead = make("figcaption", "wb-chart-head", watchFigure);
make("span", "", watchHead, "Your sentences");
make("span", "wb-term", watchHead, "cosine of each with each");
const watchGrid = make("div", "wb-watch-grid", watchFigure);
const watchWords = make("div", "wb-words", watchFigure);

const details = make("details", "wb-log", body);
make("summary", "", details, "Log");
const log = make("pre", "", details);
log.tabIndex = 0;
log.setAttribute("aria-label", "Log of the run");

let runId = null;
let cursor = "";
let run = null;
let inFlight = false;
let generation = 0;
let bootId = null;
let announced = null;
let pointCount = 0;
let bestMetric = null;
let curve = null;
let evaluations = [];
let watching = null;
let stops = [];
let stopAt = null;
let selected = [0, 1];
let waiting = null;

const MOST = 1500; // loss is drawn twice, as it is and smoothed: 3000 points in all
const AFTER_THINNING = 1000;
const SMOOTHING = 25; // as on the server, which smooths where it has to leave points out
const MOST_BARS = 30;
const SIDES = {
  scored_pairs: ["score in the upper half of the scale", "score in the lower half"],
  labelled_pairs: ["pairs labelled 1 (they match)", "pairs labelled 0"],
  pairs: ["anchor and its own partner", "anchor and partners of other rows"],
  triplets: ["anchor and positive", "anchor and negative"],
};

const { finite, decimal: digits, signed } = window.workbenchNumbers;
const count = (value) => Math.round(value).toLocaleString("en-US");

function colour(variable, fallback) {
  return getComputedStyle(root).getPropertyValue(variable).trim() || fallback;
}

function layout(yTitle) {
  const text = colour("--body-text-color", "#333");
  const grid = colour("--border-color-primary", "#ddd");
  const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true };
  return {
    autosize: true,
    height: 220,
    margin: { l: 48, r: 12, t: 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12, family: "system-ui, sans-serif" },
    xaxis: { ...axis, title: { text: "step", font: { size: 12 } }, rangemode: "tozero" },
    yaxis: { ...axis, title: { text: yTitle, font: { size: 12 } } },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--block-background-fill", "#fff"), font: { color: text } },
    uirevision: "same",
  };
}

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const accent = () => colour("--color-accent", "#0d9488");
const muted = () => colour("--body-text-color-subdued", "#666");
const lines = (x, y, options) => ({ x, y, type: "scatter", mode: x.length > 1 ? "lines" : "lines+markers", ...options });

function resetCharts() {
  for (const chart of [lossChart, metricChart, rateChart, gradientChart]) {
    if (chart.drawn) Plotly.purge(chart.plot);
    chart.drawn = false;
    chart.readout.textContent = "";
  }
  metricChart.hint.textContent = "on the validation part";
  if (cosinePlot.data) Plotly.purge(cosinePlot);
  cosineWords.textContent = "";
  watchGrid.replaceChildren();
  watchWords.replaceChildren();
  curve = { step: [], loss: [], smooth: [], learning_rate: [], grad_norm: [] };
  evaluations = [];
  watching = { texts: [], points: [], cursor: "", size: 0, busy: false };
  stops = [];
  stopAt = null;
  selected = [0, 1];
  scrub.disabled = true;
  scrub.max = "0";
  scrubText.textContent = "no evaluation yet";
  delete root.dataset.drawn;
  delete evaluationBox.dataset.step;
}

/** Whether plotly is there; once it is, everything is drawn that came before it. */
function canDraw() {
  if (drawing.ready()) return true;
  waiting ??= drawing.load().then(drawAll, () => {}).finally(() => (waiting = null));
  return false;
}

function drawAll() {
  if (run === null) return;
  if (curve.step.length) drawCurves(null);
  if (evaluations.length) drawMetric(evaluations[0].primary_metric);
  drawStop();
}

// --- curves ----------------------------------------------------------------------------------------------------------

/** Which points stay: the first, the last, and of each stretch between the lowest and the highest by each key. */
function kept(series, keys, maximum) {
  const last = series[keys[0]].length - 1;
  const stretches = Math.floor((maximum - 2) / (2 * keys.length));
  const chosen = new Set([0, last]);
  for (let number = 0; number < stretches; number += 1) {
    const from = 1 + Math.floor((number * (last - 1)) / stretches);
    const to = 1 + Math.floor(((number + 1) * (last - 1)) / stretches);
    for (const key of keys) {
      let low = from;
      let high = from;
      for (let index = from; index < to; index += 1) {
        const value = series[key][index] ?? Infinity;
        if (value < (series[key][low] ?? Infinity)) low = index;
        if (value > (series[key][high] ?? Infinity)) high = index;
      }
      if (from < to) chosen.add(low).add(high);
    }
  }
  return [...chosen].sort((a, b) => a - b);
}

function thinCurve() {
  if (curve.step.length <= MOST) return false;
  const indices = kept(curve, ["loss", "grad_norm"], AFTER_THINNING);
  for (const key of Object.keys(curve)) curve[key] = indices.map((index) => curve[key][index]);
  return true;
}

const CURVES = () => [
  {
    chart: lossChart,
    keys: ["loss", "smooth"],
    title: "loss",
    traces: [
      { line: { color: muted(), width: 1 }, opacity: 0.55, name: "loss", hovertemplate: "%{y:.4f}" },
      { line: { color: accent(), width: 2 }, name: "smoothed", hovertemplate: "%{y:.4f}" },
    ],
  },
  { chart: rateChart, keys: ["learning_rate"], title: "learning rate", traces: [{ line: { color: accent(), width: 1.5 }, name: "learning rate", hovertemplate: "%{y:.2e}" }] },
  { chart: gradientChart, keys: ["grad_norm"], title: "gradient norm", traces: [{ line: { color: accent(), width: 1.5 }, name: "gradient norm", hovertemplate: "%{y:.3f}" }] },
];

function drawCurves(added) {
  const end = curve.step.length - 1;
  lossChart.readout.textContent = digits(curve.smooth[end], 4);
  rateChart.readout.textContent = finite(curve.learning_rate[end]) ? curve.learning_rate[end].toExponential(1) : "–";
  gradientChart.readout.textContent = digits(curve.grad_norm[end], 3);
  if (!canDraw()) return;
  for (const { chart, keys, title, traces } of CURVES()) {
    const indices = keys.map((_, index) => index);
    if (!chart.drawn) {
      const figureLayout = layout(title);
      if (chart === rateChart) figureLayout.yaxis.exponentformat = "e";
      if (chart === gradientChart) figureLayout.yaxis.rangemode = "tozero";
      drawing.draw(chart.plot, traces.map((trace, index) => lines([...curve.step], [...curve[keys[index]]], trace)), figureLayout, CONFIG);
      chart.drawn = true;
    } else if (added === null) {
      Plotly.restyle(chart.plot, { x: keys.map(() => [...curve.step]), y: keys.map((key) => [...curve[key]]), mode: "lines" }, indices);
    } else {
      if (chart.plot.data[0].mode !== "lines") Plotly.restyle(chart.plot, { mode: "lines" }, indices);
      const from = curve.step.length - added;
      const tail = (key) => curve[key].slice(from);
      Plotly.extendTraces(chart.plot, { x: keys.map(() => tail("step")), y: keys.map(tail) }, indices);
    }
  }
  root.dataset.drawn = String(2 * curve.step.length);
}

function addCurve(points) {
  for (const point of points) {
    const before = curve.smooth.length ? curve.smooth[curve.smooth.length - 1] : point.loss;
    curve.step.push(point.step);
    curve.loss.push(point.loss);
    curve.smooth.push(finite(point.smooth) ? point.smooth : before + ((point.loss - before) * 2) / (SMOOTHING + 1));
    curve.learning_rate.push(finite(point.learning_rate) ? point.learning_rate : null);
    curve.grad_norm.push(finite(point.grad_norm) ? point.grad_norm : null);
  }
  drawCurves(thinCurve() ? null : points.length);
}

function baselineOf() {
  const facts = run.facts || {};
  if (finite(facts.baseline)) return { value: facts.baseline, name: "base encoder" };
  const first = evaluations.find((point) => point.step === 0);
  return first ? { value: first.value, name: "before training" } : null;
}

function drawMetric(metric) {
  const x = evaluations.map((point) => point.step);
  const y = evaluations.map((point) => point.value);
  const best = bestMetric === null ? [[], []] : [[bestMetric.step], [bestMetric.value]];
  const end = Math.max((run && run.total_steps) || 0, x[x.length - 1] || 0, 1);
  const baseline = baselineOf();
  const flat = baseline === null ? [[], []] : [[0, end], [baseline.value, baseline.value]];
  metricChart.hint.textContent = metric;
  metricChart.readout.textContent = digits(y[y.length - 1], 4);
  if (!canDraw()) return;
  if (metricChart.drawn) {
    Plotly.restyle(metricChart.plot, { x: [flat[0], x, best[0]], y: [flat[1], y, best[1]] }, [0, 1, 2]);
    return;
  }
  const figureLayout = layout(metric);
  if (baseline !== null) {
    const text = `${baseline.name} ${digits(baseline.value, 4)}`;
    const font = { size: 11, color: colour("--body-text-color", "#333") };
    figureLayout.annotations = [{ x: 1, xref: "paper", xanchor: "right", y: baseline.value, yanchor: "bottom", text, showarrow: false, font }];
  }
  drawing.draw(
    metricChart.plot,
    [
      { x: flat[0], y: flat[1], type: "scatter", mode: "lines", line: { color: muted(), width: 1.5, dash: "dash" }, name: "base", hoverinfo: "skip" },
      { x, y, type: "scatter", mode: "lines+markers", line: { color: accent(), width: 2 }, marker: { size: 6 }, name: metric, hovertemplate: "%{y:.4f}" },
      { x: best[0], y: best[1], type: "scatter", mode: "markers", marker: { symbol: "star", size: 13, color: accent(), line: { color: colour("--body-text-color", "#333"), width: 1 } }, name: "best so far", hoverinfo: "skip" },
    ],
    figureLayout,
    CONFIG,
  );
  metricChart.drawn = true;
}

function addEvaluations(points) {
  evaluations.push(...points);
  for (const point of points) {
    if (bestMetric === null || point.value >= bestMetric.value) bestMetric = point;
  }
  if (evaluations.length > MOST) {
    const series = { value: evaluations.map((point) => point.value) };
    evaluations = kept(series, ["value"], AFTER_THINNING).map((index) => evaluations[index]);
  }
  drawMetric(points[0].primary_metric);
}

// --- what each evaluation saw ----------------------------------------------------------------------------------------

/** The last of `points`, which are in order, that is not behind a step. */
function at(points, step) {
  let found = null;
  for (const point of points) {
    if (point.step > step) break;
    found = point;
  }
  return found;
}

function share(counts) {
  const total = counts.reduce((sum, number) => sum + number, 0) || 1;
  return counts.map((number) => number / total);
}

function drawCosines(step) {
  const points = evaluations.filter((point) => point.cosine && point.cosine.positive);
  if (!points.length) {
    const kind = (run.facts || {}).kind;
    cosinePlot.dataset.empty =
      kind === "class_pairs"
        ? "Pairs of several classes have no right and wrong partner, so there is nothing to separate."
        : ENDED.includes(run.status)
          ? "This run recorded no cosines of held-out pairs."
          : "Appears with the first evaluation.";
    return;
  }
  const now = at(points, step) || points[0];
  const first = points[0];
  const [rightName, wrongName] = SIDES[(run.facts || {}).kind] || ["they match", "they do not match"];
  // One scale for all steps, so that nothing but the bars moves; bins are joined where there would be too many bars.
  const counts = points.flatMap(({ cosine }) => [cosine.positive, cosine.negative]);
  const fine = now.cosine.positive.length;
  const lowest = Math.min(...counts.map((side) => side.findIndex((number) => number > 0)).filter((index) => index >= 0));
  const joined = [1, 2, 5].find((size) => (fine - lowest) / size <= MOST_BARS) || 5;
  const width = (2 * joined) / fine;
  const shares = (side) => share(Array.from({ length: fine / joined }, (_, bar) => side.slice(bar * joined, (bar + 1) * joined).reduce((sum, number) => sum + number, 0)));
  const x = Array.from({ length: fine / joined }, (_, index) => (index + 0.5) * width - 1);
  const highest = Math.max(...counts.map((side) => Math.max(...shares(side))));
  const bar = (side, name, marker) => ({ x, y: shares(side), type: "bar", name, marker, opacity: 0.75, hovertemplate: "%{y:.0%}" });
  const outline = (side, color) => ({ x, y: shares(side), type: "scatter", mode: "lines", line: { shape: "hvh", width: 1, dash: "dot", color }, showlegend: false, hoverinfo: "skip" });
  const traces = [
    bar(now.cosine.negative, wrongName, { color: muted(), pattern: { shape: "/", size: 5, solidity: 0.4 } }),
    bar(now.cosine.positive, rightName, { color: accent() }),
  ];
  if (now.step !== first.step) traces.push(outline(first.cosine.negative, muted()), outline(first.cosine.positive, accent()));
  const figureLayout = layout("share of pairs");
  figureLayout.xaxis = { ...figureLayout.xaxis, title: { text: "cosine", font: { size: 12 } }, rangemode: "normal", range: [Math.max(-1, (2 * lowest) / fine - 1 - width), 1] };
  figureLayout.yaxis = { ...figureLayout.yaxis, tickformat: ".0%", range: [0, highest * 1.08 || 1] };
  figureLayout.barmode = "overlay";
  figureLayout.bargap = 0.04;
  figureLayout.height = 280;
  figureLayout.showlegend = true;
  figureLayout.legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } };
  figureLayout.margin.t = 44;
  delete cosinePlot.dataset.empty;
  if (canDraw()) drawing.draw(cosinePlot, traces, figureLayout, CONFIG);
  const means = ({ cosine }) => [cosine.positive_mean, cosine.negative_mean];
  const [right, wrong] = means(now);
  const [rightFirst, wrongFirst] = means(first);
  const gap = finite(right) && finite(wrong) ? right - wrong : null;
  const gapFirst = finite(rightFirst) && finite(wrongFirst) ? rightFirst - wrongFirst : null;
  cosineWords.textContent =
    `Mean cosine ${digits(right, 2)} (${rightName}) and ${digits(wrong, 2)} (${wrongName}): ${digits(gap, 2)} apart` +
    (now.step === first.step ? "." : `, ${digits(gapFirst, 2)} at step ${count(first.step)} (dotted).`);
}

function cellAt(row, column) {
  return watchGrid.querySelector(`[data-row="${row}"][data-column="${column}"]`);
}

function buildGrid() {
  const { texts } = watching;
  watchGrid.replaceChildren();
  if (!texts.length) return;
  const table = make("div", "wb-grid", watchGrid);
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", "Cosine of each of your sentences with each other; arrow keys move");
  table.style.setProperty("--columns", String(texts.length));
  const header = make("div", "wb-grid-row", table);
  header.setAttribute("role", "row");
  const corner = make("span", "wb-grid-name", header);
  corner.setAttribute("role", "columnheader");
  make("span", "wb-sr-only", corner, "sentence");
  texts.forEach((text, index) => {
    const title = make("span", "wb-grid-number", header, String(index + 1));
    title.setAttribute("role", "columnheader");
    title.title = text;
  });
  texts.forEach((text, row) => {
    const line = make("div", "wb-grid-row", table);
    line.setAttribute("role", "row");
    const title = make("span", "wb-grid-name", line);
    title.setAttribute("role", "rowheader");
    title.title = text;
    make("span", "wb-grid-number", title, `${row + 1}`);
    make("span", "wb-grid-text", title, text);
    texts.forEach((_, column) => {
      const cell = make("span", "wb-cell", line);
      cell.setAttribute("role", "gridcell");
      cell.tabIndex = -1;
      cell.dataset.row = String(row);
      cell.dataset.column = String(column);
    });
  });
  const choose = (cell) => select(Number(cell.dataset.row), Number(cell.dataset.column));
  table.addEventListener("pointerover", (event) => event.target.matches(".wb-cell") && event.pointerType === "mouse" && choose(event.target));
  table.addEventListener("click", (event) => event.target.matches(".wb-cell") && choose(event.target));
  table.addEventListener("focusin", (event) => event.target.matches(".wb-cell") && choose(event.target));
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  table.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move || !event.target.matches(".wb-cell")) return;
    event.preventDefault();
    const next = cellAt(Number(event.target.dataset.row) + move[0], Number(event.target.dataset.column) + move[1]);
    if (next) next.focus();
  });
}

function select(row, column) {
  const before = cellAt(...selected);
  if (before) {
    before.tabIndex = -1;
    before.removeAttribute("aria-selected");
  }
  selected = [row, column];
  showPair();
}

function showPair() {
  const [row, column] = selected;
  const cell = cellAt(row, column);
  if (!cell) return;
  cell.tabIndex = 0;
  cell.setAttribute("aria-selected", "true");
  const first = watching.points[0].matrix[row][column];
  const now = (at(watching.points, stopAt) || watching.points[0]).matrix[row][column];
  watchWords.replaceChildren();
  const pair = make("p", "wb-pair-texts", watchWords);
  make("span", "", pair, `${row + 1}. ${watching.texts[row]}`);
  make("span", "", pair, `${column + 1}. ${watching.texts[column]}`);
  const numbers = make("p", "", watchWords);
  make("strong", "", numbers, `cosine ${digits(now, 3)}`);
  numbers.append(` · at step ${count(watching.points[0].step)} ${digits(first, 3)} · change ${signed(now - first, 3)}`);
}

function drawWatch(step) {
  const { texts, points } = watching;
  if (!points.length || !texts.length) {
    watchGrid.dataset.empty = ENDED.includes(run.status)
      ? "This run watched no sentences. Name some under Watch-list in the form, one per line."
      : "Sentences named under Watch-list in the form appear here with the first evaluation.";
    return;
  }
  delete watchGrid.dataset.empty;
  if (watchGrid.querySelectorAll(".wb-cell").length !== texts.length ** 2) buildGrid();
  const now = at(points, step) || points[0];
  // One scale for all steps: many models keep their cosines in a narrow band.
  const low = Math.min(...points.map((point) => Math.min(...point.matrix.flat())), 0.98);
  now.matrix.forEach((values, row) =>
    values.forEach((value, column) => {
      const cell = cellAt(row, column);
      const words = row === column ? "1" : digits(value, 2);
      if (cell.textContent !== words) cell.textContent = words;
      cell.dataset.long = String(words.length > 4);
      cell.style.setProperty("--share", `${Math.round((100 * Math.max(0, value - low)) / (1 - low || 1))}%`);
    }),
  );
  if (selected[0] >= texts.length || selected[1] >= texts.length) selected = [0, Math.min(1, texts.length - 1)];
  showPair();
}

function drawStop() {
  const wasAtEnd = stopAt === null || stopAt === stops[stops.length - 1];
  stops = [...new Set([...evaluations.map((point) => point.step), ...watching.points.map((point) => point.step)])].sort((a, b) => a - b);
  if (stops.length) {
    const index = wasAtEnd ? stops.length - 1 : Math.max(0, stops.findLastIndex((step) => step <= stopAt));
    stopAt = stops[index];
    scrub.max = String(stops.length - 1);
    scrub.value = String(index);
    scrub.disabled = stops.length < 2;
    const point = at(evaluations, stopAt);
    const words = stopAt === 0 ? "step 0, before training" : `step ${count(stopAt)}`;
    const value = point && point.step === stopAt ? `, ${point.primary_metric} ${digits(point.value, 4)}` : "";
    scrubText.textContent = `${words}${value} (${index + 1} of ${stops.length})`;
    scrub.setAttribute("aria-valuetext", words + value);
    evaluationBox.dataset.step = String(stopAt);
  }
  drawCosines(stopAt ?? 0);
  drawWatch(stopAt ?? 0);
}

scrub.addEventListener("input", () => {
  stopAt = stops[Number(scrub.value)];
  // Pushed to the end it follows the newest again.
  drawStop();
});

async function readWatch(size) {
  if (!size || watching.busy || watching.size === size) return;
  const mine = watching;
  mine.busy = true;
  try {
    const answer = await fetchJson(`api/runs/${encodeURIComponent(runId)}/watch?after=${encodeURIComponent(mine.cursor)}`);
    if (mine !== watching) return;
    mine.size = size;
    mine.cursor = answer.cursor;
    mine.texts = answer.texts;
    mine.points.push(...answer.points);
    drawStop();
  } finally {
    mine.busy = false;
  }
}

function duration(seconds) {
  if (!finite(seconds)) return "";
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function addPoints(points) {
  const losses = points.filter((point) => point.type === "train" && finite(point.loss));
  const measured = points.filter((point) => point.type === "evaluation" && finite(point.value));
  if (losses.length) addCurve(losses);
  if (measured.length) addEvaluations(measured);
  if (measured.length || !stops.length) drawStop();
  pointCount += points.length;
  root.dataset.points = String(pointCount);
}

function showVerdict() {
  const found = ENDED.includes(run.status) ? run.verdict : null;
  verdict.hidden = !found;
  if (!found) return;
  verdict.dataset.outcome = found.outcome;
  verdictTitle.textContent = VERDICTS[found.outcome] || found.outcome;
  verdictSentence.textContent = found.sentence || "";
  // The other half: what the gain on the run's own data cost elsewhere.
  const general = run.general;
  verdictGeneral.hidden = !general;
  verdictGeneral.textContent = general ? general.sentence : "";
  verdictGeneral.dataset.general = general ? general.outcome : "";
  verdictGeneral.dataset.tone = general ? (general.outcome === "lost" || general.drift === "strong" ? "bad" : general.drift === "noticeable" ? "warn" : "plain") : "plain";
  verdictWarnings.replaceChildren();
  for (const warning of run.warnings || []) make("p", "", verdictWarnings, warning.message).dataset.kind = warning.kind;
  verdictNumbers.replaceChildren();
  const interval = Array.isArray(found.interval) ? `${signed(found.interval[0], 4)} to ${signed(found.interval[1], 4)}` : "–";
  const rows = [
    ["Before", digits(found.before, 4)],
    ["After", digits(found.after, 4)],
    ["Difference", signed(found.difference, 4)],
    ["95% interval", interval],
    ["Test rows", finite(found.rows) ? count(found.rows) : "–"],
  ];
  if (finite(run.threshold)) rows.push(["Threshold", digits(run.threshold, 3)]);
  if (run.unrelated_cosine) rows.push(["Unrelated texts, mean cosine", `${digits(run.unrelated_cosine.before, 2)} → ${digits(run.unrelated_cosine.after, 2)}`]);
  for (const [term, value] of rows) {
    const pair = make("div", "", verdictNumbers);
    make("dt", "", pair, term);
    make("dd", "", pair, value);
  }
}

function statusLine(eta) {
  const steps = run.total_steps ? `step ${count(run.step || 0)} of ${count(run.total_steps)}` : "";
  if (run.status === "queued") return "Waiting for its turn: one run trains at a time.";
  if (run.kind === "measure" && !(run.step > 0)) {
    // Where the verdict takes trainings after all, steps are counted as ever.
    return ENDED.includes(run.status) ? "Measured again on the corrected test rows; the model is the same, nothing was trained." : "Measuring the base and the model again on the corrected test rows; nothing is trained.";
  }
  if (run.status === "running" && !(run.step > 0)) return "Preparing: reading the data, loading the encoder, measuring it before training…";
  const folds = (run.facts || {}).cross_validation;
  if (run.status === "running" && folds) return `Trained and saved. Cross-validation for the verdict: ${count(folds.done)} of ${count(folds.total)} trainings done.`;
  const parts = [steps];
  if (finite(run.epoch) && run.epoch > 0) parts.push(`epoch ${run.epoch.toFixed(2)}`);
  if (finite(run.pairs_per_second) && run.pairs_per_second > 0) parts.push(`${count(run.pairs_per_second)} rows/s`);
  if (ENDED.includes(run.status)) {
    if (finite(run.seconds)) parts.push(`trained for ${duration(run.seconds)}`);
  } else {
    if (finite(eta)) parts.push(`about ${duration(eta)} left`);
    if (bestMetric) parts.push(`best so far ${digits(bestMetric.value, 4)} at step ${count(bestMetric.step)}`);
  }
  return parts.filter(Boolean).join(" · ");
}

function render(live) {
  run = live.run;
  const ended = ENDED.includes(run.status);
  root.dataset.state = run.status;
  root.dataset.run = run.run_id;
  name.textContent = run.name || run.run_id;
  badge.textContent = WORDS[run.status] || run.status;
  badge.dataset.state = run.status;
  facts.textContent = [run.base, run.device].filter(Boolean).join(" · ");
  stopBox.hidden = ended;
  stop.disabled = run.status === "stopping";
  const total = run.total_steps || 0;
  progress.max = total || 1;
  if (ended || run.step > 0) progress.value = run.status === "completed" ? progress.max : Math.min(run.step || 0, total);
  else progress.removeAttribute("value");
  addPoints(live.points || []);
  // Once more after a failure: the next answer of the server names the same size.
  readWatch(live.watch).catch(() => {});
  let words = statusLine(live.eta_seconds);
  if (run.message && (run.status === "failed" || run.status === "interrupted" || run.status === "stopped")) words = run.message;
  if (line.textContent !== words) line.textContent = words;
  line.dataset.tone = run.status === "failed" ? "error" : "plain";
  // A run that only measures has no curves.
  for (const part of [charts, zoomHint, evaluationBox]) part.hidden = run.kind === "measure" && !pointCount;
  showVerdict();
  if (log.textContent !== live.log) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.textContent = live.log || "";
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  const stage = ended ? "ended" : run.status;
  if (announced !== null && announced !== stage) trigger("state", { run_id: run.run_id, status: run.status });
  announced = stage;
}

async function fetchJson(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options });
  const data = await answer.json();
  if (!answer.ok) {
    const error = new Error(data.error || answer.statusText);
    error.status = answer.status;
    throw error;
  }
  return data;
}

function clear() {
  runId = null;
  run = null;
  root.dataset.state = "empty";
  delete root.dataset.run;
}

function show(id) {
  generation += 1;
  runId = id;
  cursor = "";
  run = null;
  announced = null;
  bestMetric = null;
  pointCount = 0;
  verdict.hidden = true;
  log.textContent = "";
  line.textContent = "";
  name.textContent = "";
  facts.textContent = "";
  badge.textContent = "";
  resetCharts();
  props.value = { run_id: id, count: (props.value && props.value.count) || 0 };
  const address = new URL(window.location.href);
  address.searchParams.set("run", id);
  window.history.replaceState(window.history.state, "", address);
  poll();
}

// The list holds the newest runs only; an address may name any.
async function older(id) {
  if (!id) return null;
  try {
    return await fetchJson(`api/runs/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

async function find() {
  const wanted = new URL(window.location.href).searchParams.get("run");
  const { runs } = await fetchJson("api/runs");
  const active = runs.filter((item) => !ENDED.includes(item.status));
  const started = (item) => String(item.created || "");
  const newest = (items) => items.reduce((last, item) => (last === null || started(item) > started(last) ? item : last), null);
  const found = runs.find((item) => item.run_id === wanted) || (await older(wanted)) || newest(active) || newest(runs);
  root.dataset.searched = "yes";
  if (found) show(found.run_id);
}

async function poll() {
  if (inFlight) return;
  inFlight = true;
  const mine = generation;
  try {
    if (runId === null) {
      await find();
    } else {
      const live = await fetchJson(`api/runs/${encodeURIComponent(runId)}/live?after=${encodeURIComponent(cursor)}`);
      if (mine === generation) {
        if (bootId !== null && bootId !== live.boot_id) root.dataset.restarts = String(Number(root.dataset.restarts || 0) + 1);
        bootId = live.boot_id;
        cursor = live.cursor;
        render(live);
      }
    }
    connection.hidden = true;
  } catch (error) {
    if (error.status === 404 && mine === generation) clear();
    else connection.hidden = runId === null;
  } finally {
    inFlight = false;
    if (mine !== generation) poll();
  }
}

const visible = () => document.visibilityState === "visible" && element.offsetParent !== null;

const timer = window.setInterval(() => {
  if (!element.isConnected) {
    window.clearInterval(timer);
    return;
  }
  if (!visible()) return;
  const over = run !== null && ENDED.includes(run.status) && connection.hidden;
  if (!over) poll();
}, POLL_MS);

stop.addEventListener("click", async () => {
  if (runId === null) return;
  stop.disabled = true;
  try {
    await fetchJson(`api/runs/${encodeURIComponent(runId)}/stop`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ keep: keep.value }),
    });
  } catch (error) {
    line.textContent = error.status ? error.message : "The server could not be reached; the run goes on. Press Stop again.";
    stop.disabled = false;
  }
  poll();
});

tryButton.addEventListener("click", () => trigger("compare", { run_id: runId }));

watch("value", () => {
  const wanted = props.value && props.value.run_id;
  if (wanted) show(wanted);
});

const given = props.value && props.value.run_id;
if (given) show(given);
else poll();
root.dataset.ready = "yes";
