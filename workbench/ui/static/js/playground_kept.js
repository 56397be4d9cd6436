// Keeps what the playground shows, so that a reload of this browser tab comes back to it: models, texts, view and settings as they stand,
// and which views had been asked, whose answers are asked for again when they are seen. A link that was followed since wins.
// Once one view has an answer, the others get theirs when they are seen, without a press of their own.
(() => {
  const KEY = "workbench-playground";
  const BUTTONS = { matrix: "playground-compare", pair: "playground-pair-compare", search: "playground-search", map: "playground-draw", sizes: "playground-measure" };
  const linked = () => new URL(window.location.href).searchParams.get("set") || "";

  let kept = null;
  try {
    kept = JSON.parse(window.sessionStorage.getItem(KEY));
  } catch {
    // The browser keeps nothing, or someone else's.
  }
  if (kept && kept.set !== linked()) kept = null;
  const SHARED = ["first", "second", "texts", "source", "column", "label"];
  const asked = new Set(kept ? kept.asked : []);
  const about = new Map(); // view -> the models and texts it was asked about last
  let shown = ""; // the models and texts on the page
  let answered = null; // those that a view has an answer about
  const again = new Set(asked);
  const pending = new Set();

  const page = {
    // Until what was kept is shown again, what is shown is not to be kept.
    open: false,

    // What to begin with: what was kept, the id of a link's examples, or nothing.
    wanted: kept ? JSON.stringify(kept) : linked(),

    keep(names, values, view) {
      shown = JSON.stringify(SHARED.map((name) => values[names.indexOf(name)]));
      if (view) {
        asked.add(view);
        again.delete(view);
        about.set(view, shown);
      }
      if (!page.open) return;
      const now = { set: linked(), asked: [...asked] };
      names.forEach((name, index) => { now[name] = values[index]; });
      try {
        window.sessionStorage.setItem(KEY, JSON.stringify(now));
      } catch {
        window.sessionStorage?.removeItem(KEY); // too much to keep, and what was kept before is no longer so
      }
    },

    // Whether the next answer is to be brought into sight.
    reveal: false,

    // Presses a view's button, once it is there.
    press(view, reveal = false) {
      page.reveal = reveal;
      if (!BUTTONS[view] || pending.has(view)) return;
      pending.add(view);
      let tries = 0;
      const attempt = () => {
        const button = document.getElementById(BUTTONS[view]);
        const seen = button && button.offsetParent;
        if (!seen && ++tries < 600) return setTimeout(attempt, 100);
        pending.delete(view);
        if (!seen) return;
        again.delete(view);
        button.click();
      };
      attempt();
    },

    // What was wanted is shown; `view` is to be answered at once.
    opened(view) {
      page.open = true;
      if (view) again.add(view);
      page.seen(view);
    },

    // A view has its answer.
    answered(view) {
      answered = shown;
      about.set(view, shown);
    },

    // A view came into sight.
    seen(view) {
      const missing = answered !== null && answered === shown && about.get(view) !== shown;
      if (page.open && (again.has(view) || missing)) page.press(view);
    },
  };
  window.workbenchPlayground = page;
})();
