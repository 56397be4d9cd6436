// Numbers as people read them: one minus sign, and none before a zero. In the head of the page, so that every component may use it.
window.workbenchNumbers = (() => {
  const finite = (value) => typeof value === "number" && Number.isFinite(value);
  const decimal = (value, places) => (finite(value) ? value.toFixed(places).replace(/^-(0\.?0*)$/, "$1").replace("-", "−") : "–");
  const signed = (value, places) => {
    const text = decimal(value, places);
    return finite(value) && value > 0 && Number(value.toFixed(places)) ? `+${text}` : text;
  };
  return { finite, decimal, signed };
})();
