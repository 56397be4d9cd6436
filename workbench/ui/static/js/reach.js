// Brings a part of the page into sight. In the head of the page, so that every component may use it.
/**
 * Bring a part of the page into sight, as soon as its tab has mounted it and, where `run` is given, the live panel shows that run.
 * `focus` puts the focus there; `lazy` leaves the page where it is if the part can be seen anyway.
 */
window.workbenchReach = (id, { run = "", focus = false, lazy = false } = {}) => {
  const bar = 64; // what sticks to the top of the page
  const until = performance.now() + 15_000;
  const look = () => {
    const box = document.getElementById(id);
    const panel = run && document.querySelector("#train-live .wb-live");
    if (!box || box.offsetParent === null || (run && (!panel || panel.dataset.run !== run))) {
      if (performance.now() < until) window.requestAnimationFrame(look);
      return;
    }
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const focusable = "button:not(:disabled), input, textarea, select, [tabindex]";
    const inner = box.matches(focusable) ? box : box.querySelector(focusable);
    if (focus && inner) inner.focus({ preventScroll: true });
    const { top, bottom, height } = box.getBoundingClientRect();
    if (lazy && top >= bar && bottom <= window.innerHeight) return;
    // The head of what does not fit is what matters.
    const block = height > window.innerHeight - bar ? "start" : "center";
    box.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
  };
  look();
};
