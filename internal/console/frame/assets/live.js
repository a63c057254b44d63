// Pages that renew themselves: by server-sent events, morphed into what is
// there, so that focus, selection and open parts stay as they are. A hidden tab
// asks for nothing; what somebody is working with isn't changed under them. The
// notices above every page come by the same stream, also while it is paused.
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
    if (!m || document.hidden) return;
    const renewed = !paused && Number(m.dataset.live) > 0;
    source = new EventSource("/live?at=" + encodeURIComponent(m.dataset.at) + (renewed ? "" : "&only=notices"));
    const at = m.dataset.at;
    source.addEventListener("notices", (e) => notify(e.data));
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
    connect();
    if (!on) again();
  }

  // Notices. They say themselves how long they hold, by no clock but the stream's.

  function notify(html) {
    const place = document.getElementById("notices");
    if (!place) return;
    const before = place.querySelector("[data-notices]");
    const names = before ? [...before.querySelectorAll("b")].map((b) => b.textContent).join(", ") : "";
    const key = before ? before.dataset.notices : "";
    const focused = place.contains(document.activeElement);
    Idiomorph.morph(place, html, { morphStyle: "innerHTML" });
    htmx.process(place);
    if (focused && !place.contains(document.activeElement)) main().focus({ preventScroll: true });
    count();
    const now = place.querySelector("[data-notices]");
    if (key === (now ? now.dataset.notices : "")) return;
    find("#said").textContent = now ? now.dataset.spoken : names + ": over";
  }

  function count() {
    for (const left of document.querySelectorAll("[data-left]")) {
      if (left.told === left.dataset.left) continue;
      left.told = left.dataset.left;
      left.until = performance.now() + 1000 * Number(left.told);
    }
  }

  const two = (n) => String(n).padStart(2, "0");
  function span(s) {
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + two(s % 60) + " s";
    return Math.floor(s / 3600) + " h " + two(Math.floor(s / 60) % 60) + " min";
  }

  setInterval(() => {
    if (document.hidden) return;
    for (const left of document.querySelectorAll("[data-left]")) {
      left.textContent = span(Math.max(0, Math.round((left.until - performance.now()) / 1000)));
    }
  }, 1000);

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
  document.addEventListener("warren:page", () => { paused = false; count(); connect(); });
  document.addEventListener("warren:changed", () => { connect(); again(); });
  window.addEventListener("pagehide", disconnect);
})();
