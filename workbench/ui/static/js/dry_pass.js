// Shows a dry pass. Every text goes through textContent.
const root = element.querySelector(".wb-dry");

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const verdict = make("p", "wb-dry-words", root);
verdict.setAttribute("role", "status");
const stale = make("p", "wb-dry-stale", root, "The stack has changed since; press the button again.");
stale.hidden = true;
const body = make("div", "wb-dry-body", root);

// Messages name fields in backticks.
function say(node, text) {
  const parts = text.split("`");
  node.replaceChildren(...parts.map((part, index) => (index % 2 && index < parts.length - 1 ? make("code", "", null, part) : document.createTextNode(part))));
}

function figure(value) {
  if (value === null) return "none";
  const text = Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.001) ? value.toExponential(1).replace("-", "−") : window.workbenchNumbers.decimal(value, 3);
  return text;
}

const share = (value) => `${Math.round(value * 100)}%`;

function remarks(layer) {
  const words = [];
  if (layer.non_finite) words.push(`${layer.non_finite.toLocaleString("en-US")} NaN or infinite`);
  if (layer.constant) words.push("all vectors equal");
  if (layer.saturated !== null) words.push(`${share(layer.saturated)} saturated`);
  if (layer.zero_vectors && !layer.constant) words.push(`${layer.zero_vectors} zero vectors`);
  if (layer.zeros >= 0.01) words.push(`${share(layer.zeros)} zeros`);
  return words.join(", ") || "–";
}

function table(caption, headers, rows) {
  const box = make("div", "wb-dry-scroll", body);
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption);
  const grid = make("table", "", box);
  make("caption", "", grid, caption);
  const head = make("tr", "", make("thead", "", grid));
  for (const header of headers) make("th", "", head, header).scope = "col";
  const lines = make("tbody", "", grid);
  for (const cells of rows) {
    const line = make("tr", "", lines);
    cells.forEach((cell, index) => {
      const node = make(index ? "td" : "th", "", line, cell);
      if (!index) node.scope = "row";
      if (/^[−\d.,e+]+$/.test(cell)) node.className = "wb-number-cell";
    });
  }
}

function render() {
  const value = props.result || {};
  root.dataset.state = value.state || "idle";
  root.dataset.worst = value.worst || "";
  root.setAttribute("aria-busy", String(value.state === "waiting"));
  say(verdict, value.words || "");
  body.replaceChildren();
  age();
  if (value.state !== "done") return;
  if (value.findings.length) {
    const list = make("ul", "wb-dry-findings", body);
    for (const finding of value.findings) {
      const item = make("li", "", list);
      item.dataset.severity = finding.severity;
      make("strong", "", item, { error: "Error: ", warning: "Warning: ", note: "Note: " }[finding.severity]);
      say(make("span", "", item), finding.message);
    }
  }
  table(
    "What each layer returns",
    ["Layer", "Shape", "Smallest", "Largest", "Mean size", "Remarks"],
    value.layers.map((layer) => [layer.title, layer.shape_words, figure(layer.lowest), figure(layer.highest), figure(layer.mean_size), remarks(layer)]),
  );
  const cosines = value.pairs.some((pair) => pair.value !== null);
  const tokens = (text) => [`${text.read + text.cut} tokens`, ...(text.cut ? [`${text.cut} cut off`] : []), ...(text.unknown ? [`${text.unknown} unknown`] : [])].join(", ");
  const named = (pair, role) => value.texts.find((text) => text.row === pair.row && text.role === role);
  table(
    "The rows, before any training",
    ["Row", "Text", "Other text", "Cosine", ...(cosines ? ["In the data"] : [])],
    value.pairs.map((pair) => {
      const [first, second] = pair.roles.map((role) => named(pair, role));
      return [
        String(pair.row),
        ...[first, second].map((text) => `${text.text} (${tokens(text)})`),
        figure(pair.cosine),
        ...(cosines ? [figure(pair.value)] : []),
      ];
    }),
  );
}

function age() {
  const value = props.result || {};
  stale.hidden = value.state !== "done" || !props.line || props.line === value.line;
}

watch("result", render);
watch("line", age);
render();
