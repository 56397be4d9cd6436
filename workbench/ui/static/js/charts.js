// Plotly, which the charts are drawn with. In the head of the page, so that every component may use it.
window.workbenchCharts = (() => {
  const SOURCE = "wb-static/plotly.min.js";
  let loading = null;

  /** Load plotly once something is to be drawn: it is most of what the page weighs, and running it blocks everything else. */
  function load() {
    if (window.Plotly) return Promise.resolve();
    loading ??= new Promise((resolve, reject) => {
      const known = [...document.scripts].find((script) => script.getAttribute("src") === SOURCE);
      const script = known || document.createElement("script");
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => {
        loading = null;
        script.remove();
        reject(new Error("The charts could not be loaded."));
      });
      if (known) return;
      script.src = SOURCE;
      // What the page says as text comes first.
      const insert = () => document.head.append(script);
      if (window.requestIdleCallback) window.requestIdleCallback(insert, { timeout: 1000 });
      else window.setTimeout(insert, 50);
    });
    return loading;
  }

  /**
   * Draw without a base address. On a page with one, plotly names its patterns and clips by the whole address of the moment, and
   * they are gone as soon as the address changes, which it does with each tab.
   */
  function draw(node, traces, layout, config) {
    const base = document.querySelector("base[href]");
    const href = base && base.getAttribute("href");
    if (base) base.removeAttribute("href");
    try {
      window.Plotly.react(node, traces, layout, config);
    } finally {
      if (base) base.setAttribute("href", href);
    }
  }

  return { load, draw, ready: () => Boolean(window.Plotly) };
})();
