// A pair of texts as each model reads it. All text goes through textContent.
const root = element.querySelector(".wb-reading");

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
const plain = (number) => `${number < 0 ? "−" : ""}${Math.abs(number).toFixed(3)}`;

function renderEmpty() {
  const box = make("div", "wb-teach", root);
  make("h3", "", box, "How similar are two texts?");
  make("p", "", box, "Press Compare: each model says whether the pair is a match by its own threshold, where its run found one, and gives the cosine; each word shows what it adds or takes away.");
}

function renderScale(parent, panel) {
  const scale = make("div", "wb-scale", parent);
  scale.setAttribute("aria-hidden", "true"); // the same is said as text
  // With a threshold that is the middle, whatever its cosine: so two models can be held against each other.
  const share = (cosine) => {
    if (panel.threshold === null) return cosine;
    const part = cosine >= panel.threshold ? (cosine - panel.threshold) / (1 - panel.threshold) : (cosine - panel.threshold) / (panel.threshold - panel.floor);
    return 0.5 + 0.5 * part;
  };
  const at = (cosine) => `${Math.max(0, Math.min(1, share(cosine))) * 100}%`;
  make("div", "wb-scale-fill", scale).style.width = at(panel.cosine);
  if (panel.threshold !== null) make("div", "wb-scale-mark", scale).style.left = at(panel.threshold);
}

function renderWords(parent, side, index, largest) {
  const line = make("p", "wb-words", parent);
  make("span", "wb-words-name", line, index === 0 ? "First text" : "Second text");
  side.words.forEach((word, position) => {
    const score = side.scores[position];
    const node = make("span", "wb-word", line);
    node.dataset.sign = score < 0 ? "minus" : "plus";
    if (side.special[position]) node.dataset.special = "yes";
    node.style.setProperty("--strength", `${Math.round((Math.abs(score) / largest) * 70)}%`);
    make("span", "wb-word-text", node, word);
    make("span", "wb-word-score", node, signed(score));
  });
  if (side.cut) make("span", "wb-subdued", line, "the model reads no further: the text is longer than its max_seq_length");
}

function render() {
  root.replaceChildren();
  const panels = (props.value && props.value.panels) || [];
  root.dataset.state = panels.length ? "ready" : "empty";
  if (!panels.length) return renderEmpty();
  window.workbenchPlayground.answered("pair");
  const sameMethod = panels.every((panel) => panel.exact === panels[0].exact);
  const strongest = (some) => Math.max(1e-6, ...some.flatMap((panel) => panel.sides.flatMap((side) => side.scores.map(Math.abs))));
  const grid = make("div", "wb-two", root);
  for (const panel of panels) {
    const card = make("article", "wb-card-plain", grid);
    make("h3", "", card, panel.title);
    const line = make("p", "wb-cosine", card);
    if (panel.decision) make("strong", "wb-decision", line, panel.decision);
    make("span", "wb-subdued", line, " cosine ");
    make(panel.decision ? "span" : "strong", "wb-cosine-value", line, plain(panel.cosine));
    renderScale(card, panel);
    make("p", "", card, panel.verdict);
    make("p", "wb-subdued", card, panel.source);
    make("h4", "", card, "Where it comes from");
    panel.sides.forEach((side, index) => renderWords(card, side, index, strongest(sameMethod ? panels : [panel])));
    make("p", "wb-subdued", card, panel.method);
  }
}

watch("value", render);
render();
