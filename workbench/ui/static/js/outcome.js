// Shows how a run came out, and keeps the corrections of its test rows. All text goes through textContent.
const root = element.querySelector(".wb-outcome");
const PAGE = 20;
const POLL_MS = 3000;
const VERDICTS = {
  better: ["Better than the base", "good"],
  worse: ["Worse than the base", "bad"],
  no_clear_difference: ["No clear difference from the base", "plain"],
  not_judged: ["Not judged", "plain"],
};
const GENERAL = {
  kept: ["General ability kept", "good"],
  lost: ["General ability lost", "bad"],
  cannot_tell: ["General ability: cannot be told", "plain"],
  not_checked: ["General ability not checked", "plain"],
};
const DRIFT = {
  noticeable: ["⚠ Unrelated texts have come closer to one another", "warn"],
  strong: ["⚠ Unrelated texts look similar", "bad"],
};
const ACTIONS = [["", "leave as it is"], ["fix", "fix"], ["drop", "drop the row"], ["review", "keep for review"]];
const NAMES = { positive_cosine: "right", negative_cosine: "wrong", predicted: "says" };

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const { finite } = window.workbenchNumbers;
const fixed = (value, places = 3) => window.workbenchNumbers.decimal(value, places);
const signed = (value, places = 3) => window.workbenchNumbers.signed(value, places);
const count = (value) => value.toLocaleString("en-US");
const shown = (value) => (typeof value === "number" ? (Number.isInteger(value) ? count(value) : fixed(value)) : value);

const links = make("p", "wb-oc-links", root);
const cards = make("div", "wb-oc-cards", root);
const spread = make("div", "wb-oc-block wb-oc-spread", root);
const errors = make("div", "wb-oc-block wb-oc-errors", root);

let runId = null;
let generation = 0;
let timer = null;
let plots = [];
let drawn = "";
let linked = "";
let table = null;

async function request(path, options) {
  const answer = await fetch(`api/runs/${runId}/${path}`, { cache: "no-store", ...options });
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  const error = new Error(data.error || `The server answered ${answer.status}; try again.`);
  error.status = answer.status;
  throw error;
}

const post = (path, body) => request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// --- verdict and forgetting check ---------------------------------------------------------------------------------------

function drawInterval(parent, difference, [low, high]) {
  const left = Math.min(0, low);
  const right = Math.max(0, high);
  const pad = (right - left || 0.01) * 0.12;
  const place = (value) => `${(100 * (value - left + pad)) / (right - left + 2 * pad)}%`;
  const box = make("div", "wb-interval", parent);
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `Difference ${signed(difference)}, 95% interval ${signed(low)} to ${signed(high)}; zero means no difference.`);
  const track = make("div", "wb-interval-track", box);
  const zero = make("div", "wb-interval-zero", track);
  zero.style.left = place(0);
  make("span", "", zero, "0");
  const bar = make("div", "wb-interval-bar", track);
  bar.style.left = place(low);
  bar.style.width = `calc(${place(high)} - ${place(low)})`;
  make("div", "wb-interval-dot", track).style.left = place(difference);
  const labels = make("div", "wb-interval-labels", box);
  // Under a short bar the two labels would stand on each other.
  const short = high - low < 0.35 * (right - left);
  const found = short ? [[difference, "both", `${signed(low)} to ${signed(high)}`]] : [[low, "low", signed(low)], [high, "high", signed(high)]];
  for (const [value, edge, text] of found) {
    const label = make("span", "", labels, text);
    label.style.left = place(value);
    label.dataset.edge = edge;
  }
}

function drawCard(question, [title, tone], found, rowsWord) {
  const card = make("article", "wb-oc-card", cards);
  card.dataset.tone = tone;
  make("h2", "wb-oc-question", card, question);
  make("strong", "wb-oc-title", card, title);
  if (Array.isArray(found.interval)) drawInterval(card, found.difference, found.interval);
  make("p", "", card, found.sentence || "");
  if (finite(found.after) || finite(found.before)) {
    const numbers = make("dl", "wb-oc-numbers", card);
    const interval = Array.isArray(found.interval) ? `${signed(found.interval[0])} to ${signed(found.interval[1])}` : "–";
    const items = [["Base", fixed(found.before)], ["Tuned", fixed(found.after)], ["Difference", signed(found.difference)], ["95% interval", interval], [rowsWord, count(found.rows ?? found.pairs ?? 0)]];
    if (found.unrelated_cosine) {
      items.push(["Unrelated texts, mean cosine", `${fixed(found.unrelated_cosine.before, 2)} → ${fixed(found.unrelated_cosine.after, 2)}`]);
    }
    for (const [term, value] of items) {
      const pair = make("div", "", numbers);
      make("dt", "", pair, term);
      make("dd", "", pair, value);
    }
  }
  return card;
}

// Both halves count: a model that keeps the order but lets all texts look similar is no success.
function drawGeneral(found) {
  const card = drawCard("Did it forget anything? (forgetting check)", GENERAL[found.outcome] || [found.outcome, "plain"], found, "Pairs");
  card.dataset.general = found.outcome;
  if (!DRIFT[found.drift]) return;
  const [words, tone] = DRIFT[found.drift];
  card.dataset.drift = found.drift;
  if (tone === "bad" || found.outcome !== "lost") card.dataset.tone = tone;
  make("p", "wb-oc-drift", card, words).dataset.tone = tone;
}

function drawWarnings(warnings) {
  for (const warning of warnings || []) {
    const note = make("p", "wb-oc-warning", cards, warning.message);
    note.dataset.kind = warning.kind;
  }
}

function drawLinks({ parent, children }) {
  const now = JSON.stringify([parent, children]);
  if (now === linked) return; // a link that is read or focused is left alone
  linked = now;
  links.replaceChildren();
  const add = (words, run) => {
    make("span", "", links, words);
    if (run.name === null) {
      make("span", "", links, `${run.run_id} (deleted)`);
      return;
    }
    const button = make("button", "wb-oc-link", links, `${run.name} (${run.run_id})`);
    button.type = "button";
    button.dataset.run = run.run_id;
    button.addEventListener("click", () => trigger("open", { run_id: run.run_id }));
    const outcome = run.outcome && VERDICTS[run.outcome] ? VERDICTS[run.outcome][0].toLowerCase() : run.status;
    make("span", "wb-oc-hint", links, outcome);
  };
  if (parent) add("Corrected from", parent);
  for (const child of children) add("Corrected as", child);
  links.hidden = !links.children.length;
  if (parent) {
    make("span", "wb-oc-hint", links, "Both models were measured again on the corrected test rows, so the verdicts of the two runs are not one measurement.");
  }
}

// --- spread of cosines and calibration ----------------------------------------------------------------------------------

const colour = (variable, fallback) => getComputedStyle(root).getPropertyValue(variable).trim() || fallback;

function makeBox(parent, title) {
  const figure = make("figure", "", parent);
  make("figcaption", "", figure, title);
  return make("div", "wb-oc-plot", figure);
}

function plot(node, traces, xTitle, yTitle, shapes, extra) {
  const grid = colour("--border-color-primary", "#ddd");
  const axis = { gridcolor: grid, linecolor: grid, zeroline: false, automargin: true, fixedrange: true };
  plots.push(node);
  window.workbenchCharts.draw(
    node,
    traces,
    {
      autosize: true,
      height: 230,
      margin: { l: 44, r: 10, t: 8, b: 38 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--body-text-color", "#222"), size: 12, family: "system-ui, sans-serif" },
      xaxis: { ...axis, title: { text: xTitle, font: { size: 12 } }, ...extra.x },
      yaxis: { ...axis, title: { text: yTitle, font: { size: 12 } }, ...extra.y },
      shapes,
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
      hoverlabel: { bgcolor: colour("--block-background-fill", "#fff"), font: { color: colour("--body-text-color", "#222") } },
    },
    { displayModeBar: false, responsive: true },
  );
}

function drawSpread(calibration) {
  for (const node of plots) Plotly.purge(node);
  plots = [];
  spread.replaceChildren();
  spread.hidden = !calibration;
  if (!calibration) return;
  const { distribution, reliability, threshold } = calibration;
  make("h2", "", spread, "How the cosines are spread on the test part");
  make("p", "wb-oc-hint", spread, "The further apart the two groups lie, the better the model tells them apart. Cosines of two models are not on one scale; compare how groups overlap, not where they lie.");
  const charts = make("div", "wb-oc-charts", spread);
  const accent = colour("--color-accent", "#0d9488");
  const muted = colour("--body-text-color-subdued", "#666");
  const palette = distribution.groups.length > 2 ? [muted, accent, "#b45309", "#7c3aed", "#be185d", "#2563eb"] : [muted, accent];
  const x = distribution.edges.slice(0, -1).map((edge, index) => (edge + distribution.edges[index + 1]) / 2);
  const share = (counts) => {
    const total = counts.reduce((sum, value) => sum + value, 0) || 1;
    return counts.map((value) => value / total);
  };
  const highest = Math.max(...distribution.groups.flatMap((group) => [...share(group.base), ...share(group.tuned)]));
  // All boxes first: a plot takes the width its box has when it is drawn.
  const sides = [["base", "Base"], ["tuned", "Tuned"]].map(([side, title]) => {
    const at = threshold && threshold[side].value;
    return [side, at, makeBox(charts, finite(at) ? `${title}, threshold ${fixed(at, 2)}` : title)];
  });
  const curveBox = reliability.tuned.length ? makeBox(charts, "Calibration: does the cosine say the score?") : null;
  const drawPlots = () => {
    for (const [side, at, box] of sides) {
      const traces = distribution.groups.map((group, index) => ({
        x,
        y: share(group[side]),
        name: group.name.replace(/&/g, "&amp;").replace(/</g, "&lt;"),
        type: "scatter",
        mode: "lines",
        fill: "tozeroy",
        line: { shape: "hvh", width: 1.5, color: palette[index % palette.length] },
        hovertemplate: "%{y:.0%} near cosine %{x:.2f}<extra></extra>",
      }));
      const shapes = finite(at) ? [{ type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { color: colour("--body-text-color", "#222"), width: 1.5, dash: "dot" } }] : [];
      plot(box, traces, "cosine", "share of the group", shapes, { x: {}, y: { tickformat: ".0%", range: [0, highest * 1.05] } });
    }
    if (curveBox) {
      const curve = (points, name, line) => ({
        x: points.map((point) => point.cosine),
        y: points.map((point) => point.target),
        name,
        type: "scatter",
        mode: "lines+markers",
        line: { color: line, width: 2 },
        marker: { size: 6 },
        hovertemplate: "mean cosine %{x:.2f}, mean score %{y:.2f}<extra></extra>",
      });
      const diagonal = { type: "line", x0: 0, y0: 0, x1: 1, y1: 1, line: { color: muted, width: 1, dash: "dot" } };
      const target = table && table.label === "label" ? "share of matches" : "mean score (0 to 1)";
      plot(curveBox, [curve(reliability.base, "base", muted), curve(reliability.tuned, "tuned", accent)], "mean cosine of a tenth of the pairs", target, [diagonal], { x: {}, y: { range: [-0.05, 1.05] } });
    }
  };
  // Words do not wait for charts, and charts that are no longer wanted are not drawn.
  window.workbenchCharts.load().then(() => charts.isConnected && drawPlots(), () => {});
  if (threshold) drawThreshold(threshold);
  else if (calibration.no_threshold) make("p", "wb-oc-threshold", spread, `No threshold: ${calibration.no_threshold}.`).style.marginTop = "12px";
}

function drawThreshold(found) {
  const { tuned, base } = found;
  const text =
    `Calibrated threshold of the tuned model: ${fixed(tuned.value)}. From this cosine on, call it a match. It was chosen on the ${count(found.validation_rows)} validation rows (best F1) ` +
    `and counted on the test part, which it never saw. Match means: ${found.match}; no match: ${found.no_match}.`;
  make("p", "wb-oc-threshold", spread, text).style.marginTop = "12px";
  const body = make("table", "wb-oc-counts", spread);
  const head = make("tr", "", make("thead", "", body));
  for (const title of ["On the test part", "Base", "Tuned"]) make("th", "", head, title).scope = "col";
  const rows = make("tbody", "", body);
  const lines = [
    ["Threshold (cosine)", (side) => fixed(side.value)],
    ["Accuracy", (side) => fixed(side.accuracy)],
    ["F1", (side) => fixed(side.f1)],
    ["Matches found (true positives)", (side) => count(side.true_positives)],
    ["Matches missed (false negatives)", (side) => count(side.false_negatives)],
    ["Taken for a match (false positives)", (side) => count(side.false_positives)],
    ["Correctly rejected (true negatives)", (side) => count(side.true_negatives)],
  ];
  for (const [title, value] of lines) {
    const row = make("tr", "", rows);
    make("th", "", row, title).scope = "row";
    make("td", "", row, value(base));
    make("td", "", row, value(tuned));
  }
}

// --- the worst errors ---------------------------------------------------------------------------------------------------

let sort = "tuned";
let marked = false;
let rowsBody = null;
let more = null;
let retrainButton = null;
let measuresOnly = false;
let tally = null;
let saved = null;

function link(parent, text, path) {
  const anchor = make("a", "wb-oc-button", parent, text);
  anchor.href = `api/runs/${runId}/${path}`;
  anchor.setAttribute("download", "");
  return anchor;
}

function buildErrors() {
  errors.replaceChildren();
  const head = make("div", "wb-oc-head", errors);
  make("h2", "", head, "The worst errors on the test part");
  const errorsLink = link(head, "Errors as CSV", "errors.csv");
  errorsLink.dataset.csv = "errors";
  link(head, "Metrics as CSV", "metrics.csv").dataset.csv = "metrics";
  make("p", "wb-oc-hint", errors, `Often it is the label that is wrong, not the model. Error: ${table.error_words}. Row numbers count the rows of the data set.`);
  const tools = make("div", "wb-oc-tools", errors);
  const sortLabel = make("label", "", tools, "Sort by");
  const select = make("select", "wb-oc-select wb-oc-sort", sortLabel);
  for (const order of table.orders) make("option", "", select, order.words).value = order.name;
  select.value = sort;
  select.addEventListener("change", () => {
    sort = select.value;
    errorsLink.href = `api/runs/${runId}/errors.csv?sort=${sort}`;
    loadRows(0);
  });
  const only = make("label", "", tools);
  const box = make("input", "wb-oc-marked", only);
  box.type = "checkbox";
  box.checked = marked;
  only.append("marked rows only");
  box.addEventListener("change", () => {
    marked = box.checked;
    loadRows(0);
  });
  const scroll = make("div", "wb-oc-scroll", errors);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Table of errors");
  const body = make("table", "wb-oc-table", scroll);
  const columns = [["Row", "60px"], ["Texts", ""], ...(table.label ? [[table.label === "score" ? "Score" : "Label", "92px"]] : []), ["Base", "128px"], ["Tuned", "128px"], ["What to do", "190px"]];
  const line = make("tr", "", make("thead", "", body));
  for (const [title, width] of columns) {
    const cell = make("th", "", line, title);
    cell.scope = "col";
    if (width) cell.style.width = width;
  }
  rowsBody = make("tbody", "", body);
  more = make("button", "wb-oc-button", errors, "Show more");
  more.type = "button";
  more.style.marginTop = "10px";
  more.addEventListener("click", () => loadRows(rowsBody.querySelectorAll("tr[data-row]").length));
  saved = make("p", "wb-oc-saved", errors);
  saved.setAttribute("role", "status");
  const retrain = make("div", "wb-oc-retrain", errors);
  const words = make("div", "", retrain);
  tally = make("p", "wb-oc-tally", words);
  make("p", "wb-oc-hint", words, `A corrected version of the data is stored beside the old one, and a run linked to this one is queued. These are test rows, so what the model learns from stays the same: ${measuresOnly ? "nothing is trained, the base and this very model are measured again on the corrected rows." : "it is trained again as it was, for the verdict takes trainings or the model is gone, and measured on the corrected rows."} The test part itself changes, so the two verdicts are not one measurement. Rows kept for review stay as they are.`);
  retrainButton = make("button", "wb-oc-button wb-oc-primary wb-oc-go", retrain, measuresOnly ? "Measure again with these fixes" : "Retrain with these fixes");
  retrainButton.type = "button";
  retrainButton.addEventListener("click", retrainNow);
}

function showTally() {
  const { fix, drop, review } = table.marks;
  const parts = [fix && `${fix} to fix`, drop && `${drop} to drop`, review && `${review} kept for review`].filter(Boolean);
  tally.textContent = parts.length ? `Marked: ${parts.join(", ")}.` : "No row is marked yet.";
  retrainButton.disabled = !(fix || drop) || !table.data_there;
  if (!table.data_there) tally.textContent += " The data set was deleted, so nothing can be corrected.";
  root.dataset.marks = String(fix + drop + review);
}

async function retrainNow() {
  retrainButton.disabled = true;
  saved.textContent = "Storing the corrected data and queuing the run …";
  try {
    const run = await post("retrain", {});
    saved.textContent = `Queued as ${run.name} (${run.run_id}).`;
    trigger("retrained", { run_id: run.run_id });
    await load(false);
  } catch (error) {
    saved.textContent = error.message;
  }
  showTally();
}

function fillSide(cell, row, side) {
  cell.classList.add("wb-oc-number");
  for (const name of table.columns) {
    const value = row[side][name];
    const words = NAMES[name] || name;
    if (name === "error" && "margin" in row[side]) continue; // the margin the other way round
    if (name === "error") make("span", "wb-oc-small", cell, `error ${fixed(value, 2)}`);
    else if (name === "cosine" && table.columns[0] === "cosine") make("span", "", cell, shown(value));
    else make("span", "wb-oc-small", cell, `${words} ${shown(value)}`);
  }
}

function fillValue(cell, row) {
  cell.replaceChildren();
  make("span", "", cell, row.value);
  if (row.mark && row.mark.action === "fix") make("span", "wb-oc-new", cell, ` → ${row.mark.value}`);
}

function buildRow(row) {
  const line = make("tr", "", rowsBody);
  line.dataset.row = row.row;
  make("td", "wb-oc-number", line, count(row.row));
  const texts = make("td", "wb-oc-texts", line);
  for (const role of table.texts) {
    const text = make("p", "", texts);
    if (table.texts.length > 2 || !table.label) make("span", "wb-oc-role", text, role);
    text.append(row[role]);
  }
  const value = table.label ? make("td", "wb-oc-number wb-oc-value", line) : null;
  fillSide(make("td", "", line), row, "base");
  fillSide(make("td", "", line), row, "tuned");
  const mark = make("div", "wb-oc-mark", make("td", "", line));
  const select = make("select", "wb-oc-select wb-oc-action", mark);
  select.setAttribute("aria-label", `What to do with row ${row.row}`);
  for (const [action, words] of ACTIONS) {
    if (action === "fix" && !table.label) continue;
    make("option", "", select, action === "fix" ? `fix the ${table.label}` : words).value = action;
  }
  const fixBox = make("div", "wb-oc-mark", mark);
  const input = make(table.choices.length ? "select" : "input", table.choices.length ? "wb-oc-select" : "wb-oc-input", fixBox);
  input.classList.add("wb-oc-right");
  input.setAttribute("aria-label", `The right ${table.label} of row ${row.row}`);
  for (const choice of table.choices) make("option", "", input, choice).value = choice;
  if (!table.choices.length) {
    input.type = "number";
    input.step = "any";
    const [low, high] = table.scale || [0, 1];
    input.min = low;
    input.max = high;
    input.placeholder = `${low} to ${high}`;
  }
  const save = make("button", "wb-oc-button wb-oc-save", fixBox, "Save");
  save.type = "button";
  const problem = make("p", "wb-oc-problem", mark);
  problem.setAttribute("role", "alert");
  problem.hidden = true;

  function show() {
    const action = row.mark ? row.mark.action : "";
    line.dataset.mark = action;
    select.value = action;
    fixBox.hidden = action !== "fix";
    if (action === "fix") input.value = row.mark.value;
    else input.value = table.choices.length ? row.value : "";
    if (value) fillValue(value, row);
  }

  async function send(action, right) {
    const at = generation;
    problem.hidden = true;
    try {
      const answer = await post("corrections", { row: row.row, action: action || null, value: right });
      if (at !== generation) return;
      row.mark = answer.row.mark;
      table.marks = answer.marks;
      show();
      showTally();
      const words = { fix: `is to become ${row.mark && row.mark.value}`, drop: "is to be dropped", review: "is kept for review" };
      saved.textContent = `Saved: row ${row.row} ${action ? words[action] : "is left as it is"}.`;
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      if (action !== "fix") show();
    }
  }

  select.addEventListener("change", () => {
    problem.hidden = true;
    if (select.value === "fix") {
      fixBox.hidden = false;
      input.focus();
    } else send(select.value, null);
  });
  save.addEventListener("click", () => send("fix", String(input.value)));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save.click();
  });
  show();
}

async function loadRows(offset) {
  const at = generation;
  const found = await request(`errors?sort=${sort}&marked=${marked}&offset=${offset}&limit=${PAGE}`);
  if (at !== generation) return;
  table = found;
  if (offset === 0) rowsBody.replaceChildren();
  for (const row of found.rows) buildRow(row);
  if (!found.found) make("td", "wb-oc-hint", make("tr", "", rowsBody), "No row is marked.").colSpan = 6;
  const seen = rowsBody.querySelectorAll("tr[data-row]").length;
  more.hidden = seen >= found.found;
  more.textContent = `Show more (${count(found.found - seen)} left)`;
  showTally();
}

// --- the whole ----------------------------------------------------------------------------------------------------------

async function load(again) {
  clearTimeout(timer);
  const at = again ? (generation += 1) : generation;
  let found;
  try {
    found = await request("outcome");
  } catch (error) {
    if (at !== generation) return;
    if (error.status === 404) root.dataset.state = "none";
    else timer = setTimeout(() => load(again), POLL_MS);
    return;
  }
  if (at !== generation) return;
  const judged = found.active ? null : found.verdict;
  measuresOnly = found.measures_only;
  const signature = JSON.stringify([found.run_id, judged, found.general, found.has_errors]);
  drawLinks(found);
  if (again || signature !== drawn) {
    drawn = signature;
    cards.replaceChildren();
    if (judged) drawCard("Did it get better?", VERDICTS[judged.outcome] || [judged.outcome, "plain"], judged, "Test rows").dataset.outcome = judged.outcome;
    if (judged && found.general) drawGeneral(found.general);
    if (!found.active) drawWarnings(found.warnings);
    cards.hidden = !cards.children.length;
    const withErrors = !found.active && found.has_errors;
    errors.hidden = !withErrors;
    table = null;
    root.dataset.state = "loading";
    if (withErrors) {
      try {
        table = await request(`errors?sort=${sort}&limit=1`);
        if (at !== generation) return;
        buildErrors();
        await loadRows(0);
      } catch (error) {
        errors.replaceChildren();
        make("p", "", errors, error.message);
      }
      if (at !== generation) return;
    }
    drawSpread(withErrors ? found.calibration : null);
    root.dataset.outcome = judged ? judged.outcome : "";
    root.dataset.run = found.run_id;
  }
  root.dataset.state = judged || !links.hidden ? "ready" : "none";
  if (found.active || found.children.some((child) => ["queued", "running", "stopping"].includes(child.status))) poll(at);
}

function poll(at) {
  timer = setTimeout(() => {
    if (at !== generation) return;
    if (document.visibilityState === "visible" && root.offsetParent !== null) load(false);
    else poll(at);
  }, POLL_MS);
}

function render() {
  const { run_id: wanted = null } = props.value || {};
  clearTimeout(timer);
  if (!wanted) {
    generation += 1;
    runId = null;
    root.dataset.state = "empty";
    return;
  }
  if (wanted !== runId) {
    sort = "tuned";
    marked = false;
  }
  const other = wanted !== runId;
  runId = wanted;
  load(other);
}

watch("value", render);
render();
