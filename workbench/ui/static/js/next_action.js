const words = element.querySelector("p");
const button = element.querySelector("button");

button.addEventListener("click", () => {
  const { tab, target, run } = props.value;
  trigger("open", { tab, run });
  window.workbenchReach(target, { run, focus: true });
});

function render() {
  const { text = "", action = "" } = props.value || {};
  if (words.textContent !== text) words.textContent = text;
  button.textContent = action;
  button.hidden = !action;
}

watch("value", render);
render();
