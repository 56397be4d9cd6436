const list = element.querySelector(".wb-flow");

function build(step) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  const title = document.createElement("span");
  title.className = "wb-flow-title";
  const text = document.createElement("span");
  text.className = "wb-flow-text";
  button.append(title, text);
  button.addEventListener("click", () => trigger("open", { tab: button.dataset.tab }));
  item.append(button);
  return item;
}

function render() {
  const steps = (props.value && props.value.steps) || [];
  while (list.children.length < steps.length) list.append(build());
  while (list.children.length > steps.length) list.lastChild.remove();
  steps.forEach((step, index) => {
    const button = list.children[index].firstChild;
    button.dataset.tab = step.tab;
    button.dataset.state = step.state;
    button.title = step.text;
    button.children[0].textContent = step.title;
    button.children[1].textContent = step.text;
  });
}

watch("value", render);
render();
