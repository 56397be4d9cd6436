// Gradio's answers come over one stream for all that is asked at a time; the server ends it with the last answer. A question that reaches
// the server just then, while the browser still believes in the stream, would wait for its answer until something else is asked. So each
// question says which stream it counts on, and where the server says that it has ended, the answer is held back until the browser knows.
(() => {
  const plain = window.fetch.bind(window);
  const PATIENCE_MS = 2000; // a stream that broke off is never reported as ended
  let session = "";
  let opened = 0;
  let ended = Promise.resolve();

  window.fetch = async (input, options) => {
    const request = typeof input === "string" || input instanceof URL ? null : input;
    const url = new URL(request ? request.url : input, document.baseURI);
    if (url.pathname.endsWith("/queue/data")) {
      session = url.searchParams.get("session_hash") || "";
      opened += 1;
      const signal = (options && options.signal) || (request && request.signal);
      ended = new Promise((resolve) => (signal ? signal.addEventListener("abort", resolve, { once: true }) : resolve()));
    }
    if (!url.pathname.endsWith("/queue/join") || request || !opened) return plain(input, options);
    const known = ended;
    url.searchParams.set("stream", `${session}:${opened}`);
    const answer = await plain(url, options);
    if (answer.headers.get("x-workbench-stream") === "ended") {
      await Promise.race([known, new Promise((resolve) => window.setTimeout(resolve, PATIENCE_MS))]);
    }
    return answer;
  };
})();
