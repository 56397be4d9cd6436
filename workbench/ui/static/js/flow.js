const list = element.querySelector(".wb-flow");
const SVG = "http://www.w3.org/2000/svg";
// Shape as well as colour tells the state.
const ICONS = {
  ready: ["M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13", "M5 8.2l2.1 2.1L11.2 6"],
  missing: ["M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13"],
  busy: ["M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13", "M8 4.5V8l2.4 1.6"],
  problem: ["M8 1.8L15 14H1z", "M8 6.2v3.6M8 11.8v.4"],
};
const WORDS = { ready: "ready", missing: "missing", busy: "in progress", problem: "needs attention" };

function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

function build() {
  const item = document.createElement("li");
  const button = make("button", "", item);
  button.type = "button";
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("class", "wb-flow-icon");
  icon.setAttribute("aria-hidden", "true");
  const words = make("span", "wb-flow-words", button);
  button.prepend(icon);
  make("span", "wb-flow-title", words);
  make("span", "wb-flow-text", words);
  make("span", "wb-sr-only", words);
  button.addEventListener("click", () => trigger("open", { tab: button.dataset.tab }));
  return item;
}

function draw(icon, state) {
  icon.replaceChildren(
    ...ICONS[state].map((shape) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", shape);
      return path;
    }),
  );
}

function render() {
  const steps = (props.value && props.value.steps) || [];
  while (list.children.length < steps.length) list.append(build());
  while (list.children.length > steps.length) list.lastChild.remove();
  steps.forEach((step, index) => {
    const button = list.children[index].firstChild;
    if (button.dataset.state !== step.state) draw(button.firstChild, step.state);
    button.dataset.tab = step.tab;
    button.dataset.state = step.state;
    button.title = step.text;
    const [title, text, state] = button.querySelectorAll(".wb-flow-words > span");
    title.textContent = step.title;
    text.textContent = step.text;
    state.textContent = `, ${WORDS[step.state]}`;
  });
}

watch("value", render);
render();
