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
make("p", "", empty, "Press Start training, or Quick start at the top. Progress, curves, log and the verdict appear here, and stay when you reload the page.");

const body = make("div", "wb-live-body", root);
const head = make("div", "wb-live-head", body);
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
verdict.hidden = true;
const verdictTitle = make("strong", "", verdict);
const verdictSentence = make("p", "", verdict);
const verdictNumbers = make("dl", "wb-numbers", verdict);
const tryButton = make("button", "wb-button", verdict, "Compare in the playground");
tryButton.type = "button";

const charts = make("div", "wb-charts", body);
function makeChart(title) {
  const figure = make("figure", "wb-chart", charts);
  const caption = make("figcaption", "", figure, title);
  const plot = make("div", "wb-plot", figure);
  return { figure, caption, plot, drawn: false };
}
const lossChart = makeChart("Training loss");
const metricChart = makeChart("Held-out metric");
const cosineChart = makeChart("Cosines of held-out pairs");
cosineChart.figure.hidden = true;

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
let baseline = null;

function colour(variable, fallback) {
  return getComputedStyle(root).getPropertyValue(variable).trim() || fallback;
}

function layout(yTitle) {
  const text = colour("--body-text-color", "#333");
  const grid = colour("--border-color-primary", "#ddd");
  const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, title: { font: { size: 12 } } };
  return {
    autosize: true,
    height: 240,
    margin: { l: 48, r: 12, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12, family: "system-ui, sans-serif" },
    xaxis: { ...axis, title: { text: "step", font: { size: 12 } }, rangemode: "tozero" },
    yaxis: { ...axis, title: { text: yTitle, font: { size: 12 } } },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--block-background-fill", "#fff"), font: { color: text } },
  };
}

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const accent = () => colour("--color-accent", "#0d9488");
const muted = () => colour("--body-text-color-subdued", "#666");

function resetCharts() {
  for (const chart of [lossChart, metricChart, cosineChart]) {
    if (chart.drawn) Plotly.purge(chart.plot);
    chart.drawn = false;
  }
  cosineChart.figure.hidden = true;
  lossChart.caption.textContent = "Training loss";
  metricChart.caption.textContent = "Held-out metric";
}

function draw(chart, traces, figureLayout) {
  Plotly.newPlot(chart.plot, traces, figureLayout, CONFIG);
  chart.drawn = true;
}

function addLoss(points) {
  const x = points.map((point) => point.step);
  const y = points.map((point) => point.loss);
  if (lossChart.drawn) {
    if (lossChart.plot.data[0].mode !== "lines") Plotly.restyle(lossChart.plot, { mode: "lines" }, [0]);
    Plotly.extendTraces(lossChart.plot, { x: [x], y: [y] }, [0]);
  } else {
    draw(lossChart, [{ x, y, type: "scatter", mode: x.length > 1 ? "lines" : "lines+markers", line: { color: accent(), width: 1.5 }, name: "loss" }], layout("loss"));
  }
}

function addMetric(points) {
  const x = points.map((point) => point.step);
  const y = points.map((point) => point.value);
  const metric = points[0].primary_metric;
  const end = Math.max((run && run.total_steps) || 0, x[x.length - 1] || 0, 1);
  if (metricChart.drawn) {
    Plotly.extendTraces(metricChart.plot, { x: [x], y: [y] }, [1]);
    if (baseline !== null) Plotly.restyle(metricChart.plot, { x: [[0, end]] }, [0]);
    return;
  }
  const first = points.find((point) => point.step === 0);
  baseline = first ? first.value : null;
  metricChart.caption.textContent = `Held-out ${metric}`;
  draw(
    metricChart,
    [
      {
        x: baseline === null ? [] : [0, end],
        y: baseline === null ? [] : [baseline, baseline],
        type: "scatter",
        mode: "lines",
        line: { color: muted(), width: 1.5, dash: "dash" },
        name: "before training",
        hoverinfo: "skip",
      },
      { x, y, type: "scatter", mode: "lines+markers", line: { color: accent(), width: 2 }, marker: { size: 6 }, name: metric, hovertemplate: "%{y:.4f}" },
    ],
    {
      ...layout(metric),
      annotations:
        baseline === null
          ? []
          : [{ x: 1, xref: "paper", xanchor: "right", y: baseline, yanchor: "bottom", text: "before training", showarrow: false, font: { size: 11, color: muted() } }],
    },
  );
}

function showCosines(point) {
  const bins = point.cosine.positive.length;
  const x = Array.from({ length: bins }, (_, index) => -1 + ((index + 0.5) * 2) / bins);
  const share = (counts) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    return counts.map((count) => count / total);
  };
  const bar = (counts, title, fill) => ({ x, y: share(counts), type: "bar", name: title, marker: { color: fill }, opacity: 0.65, hovertemplate: "%{y:.0%}" });
  const traces = [bar(point.cosine.negative, "do not match", muted()), bar(point.cosine.positive, "match", accent())];
  const figureLayout = layout("share");
  figureLayout.xaxis = { ...figureLayout.xaxis, title: { text: "cosine", font: { size: 12 } }, rangemode: "normal", range: [-1, 1] };
  figureLayout.yaxis.tickformat = ".0%";
  figureLayout.barmode = "overlay";
  figureLayout.bargap = 0.05;
  figureLayout.showlegend = true;
  figureLayout.legend = { orientation: "h", x: 0, y: 1.15 };
  cosineChart.figure.hidden = false;
  cosineChart.caption.textContent = `Cosines of held-out pairs, step ${point.step}`;
  Plotly.react(cosineChart.plot, traces, figureLayout, CONFIG);
  cosineChart.drawn = true;
}

const minus = (text) => text.replace(/^-/, "−");
const finite = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => Math.round(value).toLocaleString("en-US");

function duration(seconds) {
  if (!finite(seconds)) return "";
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function addPoints(points) {
  const losses = points.filter((point) => point.type === "train" && finite(point.loss));
  const evaluations = points.filter((point) => point.type === "evaluation" && finite(point.value));
  if (losses.length) addLoss(losses);
  if (evaluations.length) addMetric(evaluations);
  for (const point of evaluations) {
    if (bestMetric === null || point.value > bestMetric.value) bestMetric = point;
  }
  const withCosines = evaluations.filter((point) => point.cosine && point.cosine.positive);
  if (withCosines.length) showCosines(withCosines[withCosines.length - 1]);
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
  verdictNumbers.replaceChildren();
  const number = (value) => (finite(value) ? minus(value.toFixed(4)) : "–");
  const signed = (value) => (finite(value) ? (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(4) : "–");
  const interval = Array.isArray(found.interval) ? `${signed(found.interval[0])} to ${signed(found.interval[1])}` : "–";
  const rows = [
    ["Before", number(found.before)],
    ["After", number(found.after)],
    ["Difference", signed(found.difference)],
    ["95% interval", interval],
    ["Test rows", finite(found.rows) ? count(found.rows) : "–"],
  ];
  for (const [term, value] of rows) {
    const pair = make("div", "", verdictNumbers);
    make("dt", "", pair, term);
    make("dd", "", pair, value);
  }
}

function statusLine(eta) {
  const steps = run.total_steps ? `step ${count(run.step || 0)} of ${count(run.total_steps)}` : "";
  if (run.status === "queued") return "Waiting for its turn: one run trains at a time.";
  if (run.status === "running" && !(run.step > 0)) return "Preparing: reading the data, loading the encoder, measuring it before training…";
  const parts = [steps];
  if (finite(run.epoch) && run.epoch > 0) parts.push(`epoch ${run.epoch.toFixed(2)}`);
  if (finite(run.pairs_per_second) && run.pairs_per_second > 0) parts.push(`${count(run.pairs_per_second)} rows/s`);
  if (ENDED.includes(run.status)) {
    if (finite(run.seconds)) parts.push(`trained for ${duration(run.seconds)}`);
  } else {
    if (finite(eta)) parts.push(`about ${duration(eta)} left`);
    if (bestMetric) parts.push(`best so far ${bestMetric.value.toFixed(4)} at step ${count(bestMetric.step)}`);
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
  let words = statusLine(live.eta_seconds);
  if (run.message && (run.status === "failed" || run.status === "interrupted" || run.status === "stopped")) words = run.message;
  if (line.textContent !== words) line.textContent = words;
  line.dataset.tone = run.status === "failed" ? "error" : "plain";
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
  baseline = null;
  pointCount = 0;
  verdict.hidden = true;
  log.textContent = "";
  line.textContent = "";
  name.textContent = "";
  facts.textContent = "";
  badge.textContent = "";
  if (window.Plotly) resetCharts();
  props.value = { run_id: id, count: (props.value && props.value.count) || 0 };
  const address = new URL(window.location.href);
  address.searchParams.set("run", id);
  window.history.replaceState(window.history.state, "", address);
  poll();
}

async function find() {
  const wanted = new URL(window.location.href).searchParams.get("run");
  const runs = (await fetchJson("api/runs")).runs.filter((item) => item.kind === "train");
  const active = runs.filter((item) => !ENDED.includes(item.status));
  const started = (item) => String(item.created || "");
  const newest = (items) => items.reduce((last, item) => (last === null || started(item) > started(last) ? item : last), null);
  const found = runs.find((item) => item.run_id === wanted) || newest(active) || newest(runs);
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
