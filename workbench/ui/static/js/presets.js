const list = element.querySelector(".wb-preset-list");

// The stack asks Python itself, when it is done with what it is being asked.
const replace = (event, data) => document.dispatchEvent(new CustomEvent(`${props.stack}:replace`, { detail: { event, data } }));

function makeButton(id, title, help, press) {
  const button = document.createElement("button");
  button.type = "button";
  button.id = id;
  const name = document.createElement("strong");
  name.textContent = title;
  const words = document.createElement("span");
  words.id = `${id}-help`;
  words.textContent = help;
  button.append(name, words);
  button.setAttribute("aria-label", title);
  button.setAttribute("aria-describedby", words.id);
  button.addEventListener("click", press);
  list.append(button);
  return words;
}

const own = makeButton("build-own", "The model's own layers", "", () => replace("own", {}));
const presets = props.presets || [];
const helps = presets.map((preset, index) => makeButton(`build-preset-${index + 1}`, preset.title, preset.help, () => replace("preset", { number: index + 1 })));

function render() {
  const layers = (props.value && props.value.own) || "";
  own.textContent = layers
    ? `As this model was saved, trained weights included: ${layers}.`
    : "This model is a plain encoder without layers of its own; it gets mean pooling.";
  const widths = (props.value && props.value.widths) || [];
  presets.forEach((preset, index) => (helps[index].textContent = [preset.help, widths[index]].filter(Boolean).join(" ")));
}

watch("value", render);
render();
