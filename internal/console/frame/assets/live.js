// Pages that renew themselves: by server-sent events, morphed into what is
// there, so that focus, selection and open parts stay as they are. A hidden tab
// asks for nothing; what somebody is working with isn't changed under them.
"use strict";
(() => {
  const main = () => document.getElementById("main");
  const find = (query) => document.querySelector(query);
  let source = null;
  let paused = false;
  let held = null;

  function connect() {
    disconnect();
    const m = main();
    if (!m || paused || document.hidden || !(Number(m.dataset.live) > 0)) return;
    source = new EventSource("/live?at=" + encodeURIComponent(m.dataset.at));
    const at = m.dataset.at;
    source.addEventListener("page", (e) => {
      if (main().dataset.at === at) receive(e.data);
    });
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  function working() {
    const active = document.activeElement;
    return find("dialog[open]") || find("details.menu[open]") || String(getSelection()) !== "" ||
      (active && main().contains(active) && active.matches("input, textarea, select"));
  }

  function receive(html) {
    if (!working()) return show(html);
    held = html;
    const pill = find("[data-held]");
    if (pill) pill.hidden = false;
  }

  function show(html) {
    held = null;
    Idiomorph.morph(main(), html, {
      morphStyle: "innerHTML",
      ignoreActiveValue: true,
      callbacks: {
        // What is drawn by a script, and a form that somebody fills in.
        beforeNodeMorphed: (old) => !(old.matches && old.matches(".plot, [data-kept]")),
        beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
      },
    });
    htmx.process(main());
    document.dispatchEvent(new Event("warren:renewed"));
    marks();
  }

  // again asks for the page now. Who has gone on to another by the time of the
  // answer keeps that one.
  function again() {
    const at = main().dataset.at;
    fetch(at, { headers: { "X-Fragment": "inside" } })
      .then((answer) => answer.text())
      .then((html) => { if (main().dataset.at === at) show(html); })
      .catch(() => {});
  }

  function pause(on) {
    paused = on;
    marks(on ? new Date().toLocaleTimeString() : "");
    if (on) disconnect();
    else {
      connect();
      again();
    }
  }

  let since = "";
  function marks(at) {
    if (at !== undefined) since = at;
    const button = find("[data-pause]");
    if (button) button.setAttribute("aria-pressed", String(paused));
    const banner = find("[data-paused]");
    if (banner) {
      banner.hidden = !paused;
      find("[data-paused-at]").textContent = since;
    }
  }

  document.addEventListener("click", (e) => {
    if (e.target.closest("[data-pause]")) pause(!paused);
    if (e.target.closest("[data-pause-off]")) pause(false);
    if (e.target.closest("[data-show-held]") && held) show(held);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  document.addEventListener("warren:page", () => { paused = false; connect(); });
  document.addEventListener("warren:changed", again);
  window.addEventListener("pagehide", disconnect);
})();
