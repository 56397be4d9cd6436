const line = element.querySelector(".wb-notice");

function render() {
  const value = props.value || {};
  line.textContent = value.text || "";
  line.dataset.tone = value.tone || "plain";
  line.hidden = !value.text;
}

watch("value", render);
render();
