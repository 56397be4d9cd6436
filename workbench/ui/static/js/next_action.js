const words = element.querySelector("p");
const button = element.querySelector("button");
const FRAMES = 300;

/** Bring the target into sight and give it the focus, as soon as its tab has mounted it. */
function reach(id, frames) {
  const box = document.getElementById(id);
  if (!box || box.offsetParent === null) {
    if (frames > 0) window.requestAnimationFrame(() => reach(id, frames - 1));
    return;
  }
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const focusable = "button:not(:disabled), input, textarea, select, [tabindex='0']";
  const inner = box.matches(focusable) ? box : box.querySelector(focusable);
  if (inner) inner.focus({ preventScroll: true });
  box.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
}

button.addEventListener("click", () => {
  const { tab, target } = props.value;
  trigger("open", { tab });
  reach(target, FRAMES);
});

function render() {
  const { text = "", action = "" } = props.value || {};
  if (words.textContent !== text) words.textContent = text;
  button.textContent = action;
  button.hidden = !action;
}

watch("value", render);
render();
