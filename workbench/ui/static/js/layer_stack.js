// The layer stack. The browser owns the document; Python checks one snapshot at a time and answers with `ack`.
// Every text goes through textContent; nodes are moved and patched, never rewritten under the user's hands.
const root = element.querySelector(".wb-stack");
const KINDS = new Map((props.kinds || []).map((entry) => [entry.kind, entry]));
const PREFIX = props.prefix;
const STASH = `workbench:${PREFIX}`;
const ANSWER_MS = 6000;
const MOST_STEPS = 100;
const WINDOW = `w${Date.now().toString(36)}${Math.random().toString(36).slice(2, 10)}`; // tells Python's edits of two windows apart
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

let doc = null; // {epoch, rev, base, saved, layers: [{id, kind, params}]}
let sent = null; // what Python is asked at the moment: {ask, wish}. One thing at a time, or answers would overtake each other
let asks = 0; // numbers the questions; one that is asked again keeps its number, so that a late answer to it counts
let last = null; // what was asked last: a wish, or an edit's epoch and rev
let dirty = false; // edits that Python has not been sent
let wish = null; // what shall replace the stack next: {event, data}
let timer = 0;
let answer = null; // the last `ack` that fits what is shown
let told = ""; // errors as last announced
let serial = 0;
let drag = null;
const cards = new Map(); // id -> card
const past = []; // steps that can be undone: {state: what stood before, words: what was done}
const future = []; // steps that can be redone: {state: what stood after, words}
let shown = ""; // base and layers as the last step left them
let typing = ""; // the field that is typed in: its keystrokes are one step

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function makeButton(className, parent, text, label) {
  const button = make("button", className, parent, text);
  button.type = "button";
  if (label) button.setAttribute("aria-label", label);
  return button;
}

// Messages name fields in backticks.
function say(node, text) {
  const parts = text.split("`");
  node.replaceChildren(...parts.map((part, index) => (index % 2 && index < parts.length - 1 ? make("code", "", null, part) : document.createTextNode(part))));
}

const number = (value) => value.toLocaleString("en-US");
const countWords = (count) => (count === null ? "number of parameters unknown" : count ? `${number(count)} parameters` : "nothing to learn");
const titleOf = (layer) => KINDS.get(layer.kind).title;
const indexOf = (id) => doc.layers.findIndex((layer) => layer.id === id);

// ---------------------------------------------------------------- the frame
make("h2", "wb-sr-only", root, "Layers of the network");
const frame = make("div", "wb-stack-frame", root);
const main = make("div", "wb-stack-main", frame);
const bar = make("div", "wb-history", main);
const back = makeButton("wb-step", bar);
const forth = makeButton("wb-step", bar);
for (const [button, arrow, word] of [[back, "↶ ", "Undo"], [forth, "↷ ", "Redo"]]) {
  make("span", "", button, arrow).setAttribute("aria-hidden", "true");
  make("span", "", button, word);
}
back.dataset.act = "undo";
forth.dataset.act = "redo";
back.setAttribute("aria-keyshortcuts", "Control+Z Meta+Z");
forth.setAttribute("aria-keyshortcuts", "Control+Shift+Z Meta+Shift+Z");
back.addEventListener("click", () => undo());
forth.addEventListener("click", () => redo());
const clash = make("p", "wb-clash", main);
clash.setAttribute("role", "status");
clash.hidden = true;
const start = make("div", "wb-wire", main);
start.dataset.port = "text";
make("span", "wb-wire-line", start);
make("span", "wb-chip", start, "text");
const list = make("ol", "wb-layers", main);
const end = make("div", "wb-end", main);
const verdict = make("p", "wb-end-words", end);
const totals = make("dl", "wb-totals", end);
const total = {};
for (const [name, term] of [["width", "Sentence vector"], ["num_parameters", "Trainable parameters"], ["bytes", "Bytes per vector"]]) {
  const pair = make("div", "", totals);
  make("dt", "", pair, term);
  total[name] = make("dd", "", pair, "–");
  total[name].dataset.total = name;
}
const side = make("div", "wb-palette", frame);
side.setAttribute("role", "group");
const sideTitle = make("h3", "", side, "Add a layer");
sideTitle.id = `${PREFIX}-palette`;
side.setAttribute("aria-labelledby", sideTitle.id);
for (const entry of KINDS.values()) {
  if (entry.kind === "transformer") continue;
  const button = makeButton("wb-add", side);
  button.dataset.add = entry.kind;
  make("strong", "", button, `+ ${entry.title}`);
  const help = make("span", "", button, entry.help);
  help.id = `${PREFIX}-add-${entry.kind}`;
  button.setAttribute("aria-label", `Add ${entry.title}`);
  button.setAttribute("aria-describedby", help.id);
  button.addEventListener("click", () => add(entry));
}
const live = make("p", "wb-live-words", side);
live.setAttribute("aria-live", "polite");

function announce(text) {
  say(live, text);
}

// ---------------------------------------------------------------- fields
function makeField(layer, parameter, parent) {
  const id = `${PREFIX}-${layer.id}-${parameter.name}`;
  const box = make("div", "wb-field", parent);
  box.dataset.type = parameter.type;
  const make_ = { bool: makeCheck, choice: makeSelect, choices: makeModes }[parameter.type] || makeNumber;
  const set = (value) => {
    const current = doc.layers[indexOf(layer.id)];
    current.params = { ...current.params, [parameter.name]: value };
    commit("", `${titleOf(current)}: ${parameter.label} changed`, id);
  };
  const field = make_(id, parameter, box, set);
  const usual = parameter.habitual ? ` Usual: ${parameter.habitual}.` : "";
  const problem = make("p", "wb-field-problem", box);
  problem.id = `${id}-problem`;
  problem.hidden = true;
  const help = make("p", "wb-field-help", box, parameter.help + usual);
  help.id = `${id}-help`;
  field.control.dataset.param = parameter.name;
  field.control.setAttribute("aria-describedby", help.id);
  field.fail = (message) => {
    say(problem, message || "");
    problem.hidden = !message;
    if (message) field.control.setAttribute("aria-invalid", "true");
    else field.control.removeAttribute("aria-invalid");
    field.control.setAttribute("aria-describedby", message ? `${problem.id} ${help.id}` : help.id);
  };
  return field;
}

function makeLabel(id, parameter, box) {
  const label = make("label", "wb-label", box, parameter.label);
  label.htmlFor = id;
  return label;
}

function makeNumber(id, parameter, box, set) {
  makeLabel(id, parameter, box);
  const row = make("div", "wb-number", box);
  const control = make("input", "", row);
  control.id = id;
  control.type = "text"; // a number input hides what is no number; here it is sent, and refused with a sentence
  control.inputMode = parameter.type === "int" ? "numeric" : "decimal";
  control.autocomplete = "off";
  control.spellcheck = false;
  if (parameter.unit) make("span", "wb-unit", row, parameter.unit);
  control.addEventListener("input", () => {
    const text = control.value.trim();
    const value = Number(text.replace(/[\s,_](?=\d{3}(\D|$))/g, ""));
    set(text === "" ? null : Number.isFinite(value) ? value : text);
  });
  const write = (value) => {
    control.value = value === null || value === undefined ? "" : String(value);
  };
  return { control, write, unset: (text) => (control.placeholder = text || (parameter.optional ? "not set" : "")) };
}

function makeSelect(id, parameter, box, set) {
  makeLabel(id, parameter, box);
  const control = make("select", "", box);
  control.id = id;
  for (const choice of parameter.choices) make("option", "", control, choice).value = choice;
  control.addEventListener("change", () => set(control.value));
  return { control, write: (value) => (control.value = value) };
}

function makeCheck(id, parameter, box, set) {
  const label = make("label", "wb-check", box);
  const control = make("input", "", label);
  control.id = id;
  control.type = "checkbox";
  make("span", "", label, parameter.label);
  control.addEventListener("change", () => set(control.checked));
  return { control, write: (value) => (control.checked = value === true) };
}

// Several words whose order counts: the order in which they were pressed.
function makeModes(id, parameter, box, set) {
  const label = make("span", "wb-label", box, parameter.label);
  label.id = `${id}-label`;
  const control = make("div", "wb-modes", box);
  control.id = id;
  control.setAttribute("role", "group");
  control.setAttribute("aria-labelledby", label.id);
  let chosen = [];
  const buttons = new Map();
  for (const choice of parameter.choices) {
    const button = makeButton("wb-mode", control);
    button.dataset.choice = choice;
    make("span", "wb-mode-place", button).setAttribute("aria-hidden", "true");
    make("span", "", button, choice);
    button.addEventListener("click", () => {
      set(chosen.includes(choice) ? chosen.filter((word) => word !== choice) : [...chosen, choice]);
    });
    buttons.set(choice, button);
  }
  const write = (value) => {
    chosen = Array.isArray(value) ? value : [];
    for (const [choice, button] of buttons) {
      const place = chosen.indexOf(choice);
      button.setAttribute("aria-pressed", String(place >= 0));
      button.firstChild.textContent = place >= 0 && chosen.length > 1 ? String(place + 1) : "";
      if (place >= 0 && chosen.length > 1) button.setAttribute("aria-label", `${choice}, part ${place + 1}`);
      else button.removeAttribute("aria-label");
    }
  };
  return { control, write };
}

// ---------------------------------------------------------------- cards
function makeCard(layer) {
  const entry = KINDS.get(layer.kind);
  const fixed = layer.kind === "transformer";
  const item = make("li", "wb-layer");
  item.dataset.id = layer.id;
  item.dataset.kind = layer.kind;
  const body = make("div", "wb-card", item);
  const head = make("div", "wb-card-head", body);
  const card = { item, fields: new Map(), layer, kind: layer.kind };
  if (!fixed) {
    card.grip = makeButton("wb-grip", head, "", "");
    make("span", "wb-grip-dots", card.grip).setAttribute("aria-hidden", "true");
    watchGrip(card, layer.id);
  }
  const words = make("div", "wb-card-words", head);
  const line = make("div", "wb-card-line", words);
  card.title = make("h3", "", line, entry.title);
  card.title.id = `${PREFIX}-${layer.id}`;
  item.setAttribute("aria-labelledby", card.title.id);
  card.count = make("span", "wb-count", line);
  const ports = make("p", "wb-ports", words);
  make("span", "wb-sr-only", ports, `takes ${entry.ports[0]}, returns ${entry.ports[entry.ports.length - 1]}`);
  entry.ports.forEach((port, place) => {
    if (place) make("span", "wb-arrow", ports, "→").setAttribute("aria-hidden", "true");
    make("span", "wb-port", ports, port).setAttribute("aria-hidden", "true");
  });
  make("p", "wb-card-help", words, entry.help);
  if (!fixed) {
    const tools = make("div", "wb-tools", head);
    card.up = makeButton("wb-tool", tools, "↑");
    card.down = makeButton("wb-tool", tools, "↓");
    card.remove = makeButton("wb-tool wb-tool-remove", tools, "✕");
    card.up.dataset.act = "up";
    card.down.dataset.act = "down";
    card.remove.dataset.act = "remove";
    card.up.addEventListener("click", () => move(layer.id, indexOf(layer.id) - 1, card.up));
    card.down.addEventListener("click", () => move(layer.id, indexOf(layer.id) + 1, card.down));
    card.remove.addEventListener("click", () => remove(layer.id));
  }
  if (entry.parameters.length) {
    const fields = make("div", "wb-fields", body);
    for (const parameter of entry.parameters) card.fields.set(parameter.name, makeField(layer, parameter, fields));
  }
  card.problem = make("p", "wb-card-problem", body);
  card.problem.id = `${PREFIX}-${layer.id}-problem`;
  card.problem.hidden = true;
  const wire = make("div", "wb-wire", item);
  make("span", "wb-wire-line", wire);
  card.wire = wire;
  card.chip = make("span", "wb-chip", wire);
  card.chipHelp = make("span", "wb-chip-help", wire);
  return card;
}

function updateCard(card, layer, index) {
  const title = titleOf(layer);
  const last = doc.layers.length - 1;
  if (card.grip) {
    card.grip.setAttribute("aria-label", `Move ${title}, layer ${index + 1} of ${last + 1}; arrow keys or drag`);
    card.up.setAttribute("aria-label", `Move ${title} up`);
    card.down.setAttribute("aria-label", `Move ${title} down`);
    card.remove.setAttribute("aria-label", `Remove ${title}`);
    card.up.setAttribute("aria-disabled", String(index <= 1));
    card.down.setAttribute("aria-disabled", String(index >= last));
  }
  for (const [name, field] of card.fields) {
    // What is being typed stays as it is typed: "0." must not become "0".
    if (document.activeElement !== field.control || field.control.tagName !== "INPUT") field.write(layer.params[name]);
  }
}

// Puts the items in order around one that never leaves the page: it has the focus, or a finger on it.
function arrange(items) {
  const before = new Map(items.filter((item) => item.isConnected).map((item) => [item, item.offsetTop]));
  const keep = (drag && drag.item) || items.find((item) => item.contains(document.activeElement)) || items.find((item) => item.isConnected);
  if (keep) {
    const place = items.indexOf(keep);
    for (let index = place - 1, next = keep; index >= 0; next = items[index], index -= 1) {
      if (next.previousElementSibling !== items[index]) next.before(items[index]);
    }
    for (let index = place + 1, previous = keep; index < items.length; previous = items[index], index += 1) {
      if (previous.nextElementSibling !== items[index]) previous.after(items[index]);
    }
  } else {
    list.append(...items);
  }
  if (STILL.matches) return;
  for (const [item, top] of before) {
    const shift = top - item.offsetTop;
    if (shift && !(drag && drag.item === item)) item.animate([{ transform: `translateY(${shift}px)` }, { transform: "none" }], { duration: 140, easing: "ease-out" });
  }
}

function render() {
  const ids = new Set(doc.layers.map((layer) => layer.id));
  for (const [id, card] of cards) {
    if (!ids.has(id)) {
      card.item.remove();
      cards.delete(id);
    }
  }
  for (const layer of doc.layers) if (!cards.has(layer.id)) cards.set(layer.id, makeCard(layer));
  arrange(doc.layers.map((layer) => cards.get(layer.id).item));
  doc.layers.forEach((layer, index) => updateCard(cards.get(layer.id), layer, index));
  root.dataset.rev = String(doc.rev);
  root.dataset.epoch = String(doc.epoch);
}

const PORT_HELP = { tokens: "token vectors, one per token", sentence: "sentence vector, one per text" };

function portHelp(info) {
  const words = PORT_HELP[info.port] || "";
  return info.bytes ? `${words} · ${number(info.bytes)} bytes` : words;
}

function paint() {
  const facts = new Map(((answer && answer.info) || []).map((info) => [info.layer, info]));
  const errors = (answer && answer.errors) || [];
  let broken = false;
  for (const layer of doc.layers) {
    const card = cards.get(layer.id);
    const info = facts.get(layer.id);
    const own = errors.filter((error) => error.layer === layer.id);
    const whole = own.find((error) => error.field === null || !card.fields.has(error.field));
    say(card.problem, whole ? whole.message : "");
    card.problem.hidden = !whole;
    if (whole) card.item.setAttribute("aria-describedby", card.problem.id);
    else card.item.removeAttribute("aria-describedby");
    for (const [name, field] of card.fields) {
      const found = own.find((error) => error.field === name);
      field.fail(found ? found.message : "");
      if (field.unset) field.unset(answer && answer.unset && answer.unset[name]);
    }
    card.item.dataset.state = own.length ? "error" : broken ? "below" : "ok";
    broken = broken || own.length > 0;
    card.wire.dataset.port = info ? info.port : "";
    const known = info && info.width !== null;
    card.wire.dataset.known = String(Boolean(known));
    card.chip.textContent = known ? (info.port === "tokens" ? `tokens × ${number(info.width)}` : number(info.width)) : "?";
    card.chipHelp.textContent = known ? portHelp(info) : "";
    card.count.textContent = known ? countWords(info.num_parameters) : "";
  }
  const sum = answer && answer.total;
  for (const [name, node] of Object.entries(total)) node.textContent = sum ? (sum[name] === null ? "unknown" : number(sum[name])) : "–";
  end.dataset.state = errors.length ? "error" : "ok";
  const unsaved = "It is not saved: a run would still use what the command line below says.";
  if (errors.length) verdict.textContent = `This stack cannot be built yet; the reason stands on the layer. ${answer.saved === null ? unsaved : ""}`.trim();
  else verdict.textContent = sum ? `Every text becomes one vector of ${number(sum.width)} numbers.` : "";
  const words = errors.map((error) => error.message).join(" ");
  if (words !== told) announce(words || verdict.textContent);
  told = words;
}

// ---------------------------------------------------------------- edits
// `step` is what Undo will call it; edits of one `field` that follow one another are one step.
function commit(words, step = words, field = "") {
  remember(step, field);
  doc.rev += 1;
  dirty = true;
  clash.hidden = true;
  render();
  if (words) announce(words);
  pump();
}

function add(entry) {
  if (!doc) return;
  serial += 1;
  const params = Object.fromEntries(entry.parameters.map((parameter) => [parameter.name, parameter.default]));
  const id = `added-${doc.epoch}-${serial}`;
  doc.layers.push({ id, kind: entry.kind, params });
  commit(`${entry.title} added as layer ${doc.layers.length} of ${doc.layers.length}.`);
  const item = cards.get(id).item;
  if (!STILL.matches) item.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 160 });
}

function remove(id) {
  const index = indexOf(id);
  const title = titleOf(doc.layers[index]);
  doc.layers.splice(index, 1);
  commit(`${title} removed.`);
  const neighbour = doc.layers[Math.min(index, doc.layers.length - 1)];
  const card = cards.get(neighbour.id);
  (card.remove || side.querySelector("button")).focus();
}

function move(id, to, focus) {
  const from = indexOf(id);
  if (to < 1 || to >= doc.layers.length || to === from) {
    announce(`${titleOf(doc.layers[from])} is already ${from <= 1 ? "first after the encoder" : "last"}.`);
    return;
  }
  const [layer] = doc.layers.splice(from, 1);
  doc.layers.splice(to, 0, layer);
  commit(`${titleOf(layer)} moved to position ${to + 1} of ${doc.layers.length}.`);
  focus.focus({ preventScroll: true });
  cards.get(id).item.scrollIntoView({ block: "nearest" });
}

// ---------------------------------------------------------------- undo and redo
const state = () => JSON.stringify({ base: doc.base, layers: doc.layers });

function remember(words, field = "") {
  const now = state();
  if (now === shown) return;
  if (!field || field !== typing) past.push({ state: shown, words: words.replace(/\.$/, "") });
  if (past.length > MOST_STEPS) past.shift();
  future.length = 0;
  typing = field;
  shown = now;
  paintHistory();
}

function paintHistory() {
  for (const [button, steps, word] of [[back, past, "Undo"], [forth, future, "Redo"]]) {
    const next = steps[steps.length - 1];
    button.setAttribute("aria-disabled", String(!next));
    button.setAttribute("aria-label", next ? `${word}: ${next.words}` : word);
    button.title = next ? `${word}: ${next.words}` : `Nothing to ${word.toLowerCase()}`;
  }
}

function stepBack(from, to, word, done, button) {
  if (!doc || drag) return;
  const step = from.pop();
  if (!step) {
    announce(`Nothing to ${word}.`);
    return;
  }
  const focused = root.contains(document.activeElement) ? document.activeElement : null;
  to.push({ state: shown, words: step.words });
  shown = step.state;
  typing = "";
  Object.assign(doc, JSON.parse(step.state));
  // Two documents may give one id to blocks of different kinds.
  const kinds = new Map(doc.layers.map((layer) => [layer.id, layer.kind]));
  for (const [id, card] of cards) {
    if (kinds.get(id) === card.kind) continue;
    card.item.remove();
    cards.delete(id);
  }
  clash.hidden = true;
  doc.rev += 1;
  dirty = true;
  render();
  paintHistory();
  announce(`${done}: ${step.words}.`);
  if (focused && !focused.isConnected) button.focus({ preventScroll: true });
  pump();
}

function undo() {
  stepBack(past, future, "undo", "Undone", back);
}

function redo() {
  stepBack(future, past, "redo", "Redone", forth);
}

root.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && key !== "y")) return;
  if (event.target.matches("input[type=text]")) return; // a text field undoes its own keystrokes
  event.preventDefault();
  if (key === "y" || event.shiftKey) redo();
  else undo();
});
root.addEventListener("focusout", () => (typing = ""));

// ---------------------------------------------------------------- moving by keyboard, mouse and finger
function watchGrip(card, id) {
  const grip = card.grip;
  grip.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drag) return drop(true);
    const index = indexOf(id);
    const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 1, End: doc.layers.length - 1 }[event.key];
    if (to === undefined || drag) return undefined;
    event.preventDefault();
    return move(id, to, grip);
  });
  grip.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drag) return;
    event.preventDefault();
    grip.focus({ preventScroll: true });
    grip.setPointerCapture(event.pointerId);
    const item = card.item;
    drag = { id, item, pointer: event.pointerId, layers: [...doc.layers], grab: event.clientY - item.getBoundingClientRect().top, shift: 0 };
    item.classList.add("wb-dragging");
  });
  grip.addEventListener("pointermove", (event) => {
    if (drag && drag.pointer === event.pointerId) follow(event.clientY);
  });
  grip.addEventListener("pointerup", (event) => {
    if (drag && drag.pointer === event.pointerId) drop(false);
  });
  grip.addEventListener("pointercancel", () => drag && drop(true));
  grip.addEventListener("lostpointercapture", () => drag && drop(false));
}

function follow(y) {
  const edge = 56;
  if (y < edge) window.scrollBy(0, -12);
  else if (y > window.innerHeight - edge) window.scrollBy(0, 12);
  const top = y - drag.grab - list.getBoundingClientRect().top;
  const bottom = top + drag.item.offsetHeight;
  const middle = (item) => item.offsetTop + item.offsetHeight / 2;
  for (let again = true; again; ) {
    const index = indexOf(drag.id);
    const itemAt = (place) => cards.get(doc.layers[place].id).item;
    const down = index < doc.layers.length - 1 && bottom > middle(itemAt(index + 1));
    const up = !down && index > 1 && top < middle(itemAt(index - 1));
    again = down || up;
    if (again) {
      const [layer] = doc.layers.splice(index, 1);
      doc.layers.splice(down ? index + 1 : index - 1, 0, layer);
      arrange(doc.layers.map((item) => cards.get(item.id).item));
    }
  }
  drag.item.style.transform = `translateY(${top - drag.item.offsetTop}px)`;
}

function drop(cancelled) {
  const { id, item, layers } = drag;
  drag = null;
  item.classList.remove("wb-dragging");
  item.style.transform = "";
  const moved = layers.some((layer, index) => layer.id !== doc.layers[index].id);
  if (!moved) return;
  if (cancelled) {
    doc.layers = layers;
    render();
    announce("Move cancelled.");
  } else {
    commit(`${titleOf(doc.layers[indexOf(id)])} moved to position ${indexOf(id) + 1} of ${doc.layers.length}.`);
  }
  cards.get(id).grip.focus({ preventScroll: true });
}

// ---------------------------------------------------------------- the line to Python
// When the server was away, Gradio reloads the page by itself; what was not saved until then comes back from here.
function stash() {
  try {
    if (doc && (sent !== null || dirty)) window.sessionStorage.setItem(STASH, JSON.stringify(doc));
    else window.sessionStorage.removeItem(STASH);
  } catch (error) {
    // Storage may be switched off; then only a reload in the middle of an edit loses it.
  }
}

function unstash() {
  let kept = null;
  try {
    kept = JSON.parse(window.sessionStorage.getItem(STASH));
  } catch (error) {
    return false;
  }
  // Edits of another base, or of a draft that has changed since, are out of date.
  if (!kept || kept.base !== doc.base || kept.saved !== doc.saved || !Array.isArray(kept.layers)) return false;
  clear();
  doc.layers = kept.layers.filter((layer) => layer && KINDS.has(layer.kind));
  return true;
}

function snapshot() {
  return { ...JSON.parse(JSON.stringify(doc)), window: WINDOW, ask: asks };
}

function ask(what, event, data) {
  if (what !== last) asks += 1;
  last = what;
  sent = { ask: asks, wish };
  wish = null;
  props.value = snapshot(); // before the trigger, which reads it
  trigger(event, data);
}

function pump() {
  window.clearTimeout(timer);
  stash();
  if (doc === null || (sent === null && !dirty && wish === null)) {
    root.dataset.state = doc ? "ready" : "loading";
    return;
  }
  root.dataset.state = "saving";
  if (sent === null && wish !== null) ask(wish, wish.event, wish.data);
  else if (sent === null) {
    dirty = false;
    ask(`${doc.epoch} ${doc.rev}`, "edit");
  }
  timer = window.setTimeout(() => {
    // The answer got lost, so ask again.
    if (sent.wish) wish = wish || sent.wish;
    else dirty = true;
    sent = null;
    pump();
  }, ANSWER_MS);
}

// A preset, or another base: what was asked for last counts.
document.addEventListener(`${PREFIX}:replace`, function replace(event) {
  if (!element.isConnected) {
    document.removeEventListener(`${PREFIX}:replace`, replace);
    return;
  }
  if (!["preset", "own", "base"].includes(event.detail.event)) return;
  wish = event.detail;
  pump();
});

function clear() {
  for (const card of cards.values()) card.item.remove();
  cards.clear();
}

function load(value) {
  if (drag) drop(true);
  const first = doc === null;
  clear();
  doc = JSON.parse(JSON.stringify(value));
  delete doc.answer;
  delete doc.ask;
  doc.layers = doc.layers.filter((layer) => KINDS.has(layer.kind));
  answer = null;
  told = "";
  dirty = false;
  clash.hidden = true;
  if (first) shown = state();
  else remember(value.words || "another stack");
  props.value = snapshot(); // from now on Python knows what this window shows
  paintHistory();
  render();
}

// Whether a document from Python takes the place of this one. One with `replaces` gives way to edits it did not know of.
function isNews(value) {
  if (!value || !Array.isArray(value.layers)) return false;
  if (doc === null) return true;
  if (value.epoch <= doc.epoch) return false;
  const known = value.replaces;
  return !known || (known.epoch === doc.epoch && known.rev === doc.rev && sent === null && wish === null && !dirty && !drag);
}

let seenClash = "";

// The last window wins, but says so, and Undo brings the stack of the other one.
function tellClash(other) {
  past.push({ state: JSON.stringify({ base: other.base, layers: other.layers }), words: "the stack of another window was replaced" });
  paintHistory();
  say(clash, `Another window had saved another stack meanwhile: \`${other.line}\`. The one you see has replaced it; Undo brings the other one here.`);
  clash.hidden = false;
}

function take(ack) {
  if (!ack) return;
  if (sent && ack.ask === sent.ask) sent = null;
  if (ack.epoch !== doc.epoch) return;
  if (typeof ack.saved === "string") doc.saved = ack.saved;
  if (ack.replaced && seenClash !== `${ack.epoch} ${ack.rev}`) {
    seenClash = `${ack.epoch} ${ack.rev}`;
    tellClash(ack.replaced);
  }
  if (ack.rev === doc.rev) {
    answer = ack;
    paint();
  }
}

// A document comes by itself, or with the answer to an edit that was made without knowing of it.
function findNews() {
  return [props.news, props.ack && props.ack.news].filter(isNews).sort((one, other) => other.epoch - one.epoch)[0];
}

function receive() {
  const value = findNews();
  const first = doc === null;
  const replaced = value !== undefined;
  if (replaced) {
    load(value);
    take(value.answer);
  }
  if (doc === null) return;
  take(props.ack);
  // A document that gave way to edits came when none was on its way, so nothing can have been saved after it.
  if (replaced && !value.replaces && (!first || unstash())) {
    // A snapshot of the old document may have been saved after the new one: what is shown has the last word.
    if (first) remember("edits from before the reload");
    doc.rev += 1;
    dirty = true;
    render();
  }
  pump();
}

// Whoever comes back from another window sees what was saved there; edits that are not saved yet stay.
function look() {
  if (!element.isConnected) window.removeEventListener("focus", look);
  else if (doc && sent === null && wish === null && !dirty && !drag && root.offsetParent !== null) {
    props.value = snapshot();
    trigger("look");
  }
}

window.addEventListener("focus", look);

watch(["news", "ack"], receive);
receive();
