// What each model finds, with how places differ. All text goes through textContent.
const root = element.querySelector(".wb-results");

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function renderEmpty() {
  const box = make("div", "wb-teach", root);
  make("h3", "", box, "What does each model find?");
  make("p", "", box, "Paste your texts above, one per line, or upload a file and choose its column; the sample texts will do for a start. Then type what a customer would ask. The texts are encoded once, so the next question is answered at once.");
}

function renderHit(list, hit) {
  const item = make("li", "wb-hit", list);
  const button = make("button", "wb-hit-text", item, hit.text);
  button.type = "button";
  button.title = "More like this";
  make("span", "wb-sr", button, " – more like this");
  button.addEventListener("click", () => trigger("more", { text: hit.text }));
  const facts = make("span", "wb-hit-facts", item);
  make("span", "wb-hit-score", facts, hit.match ? `✓ ${hit.score}` : hit.score);
  if (hit.badge) make("span", "wb-change", facts, hit.badge).dataset.change = hit.change;
}

function render() {
  root.replaceChildren();
  const value = props.value || {};
  const panels = value.panels || [];
  root.dataset.state = panels.length ? "ready" : "empty";
  root.dataset.query = value.query || "";
  if (!panels.length) return renderEmpty();
  window.workbenchPlayground.answered("search");
  if (value.note) make("p", "wb-subdued wb-above", root, value.note);
  const grid = make("div", "wb-two", root);
  for (const panel of panels) {
    const card = make("article", "wb-card-plain", grid);
    make("h3", "", card, panel.title);
    make("p", "wb-subdued", card, panel.time);
    const list = make("ol", "wb-hits", card);
    let above = true;
    for (const hit of panel.hits) {
      if (hit.match === false && above) make("li", "wb-hit-line", list, `Below this model's threshold ${panel.threshold}: no match`);
      above = hit.match !== false;
      renderHit(list, hit);
    }
  }
  make("p", "wb-subdued", root, "Click a result to look for more like it.");
}

watch("value", render);
render();
