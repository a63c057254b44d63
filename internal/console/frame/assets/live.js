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
  let retry = 0;
  let old = null; // since when, and why, what is shown is not renewed

  function connect() {
    disconnect();
    const m = main();
    if (!m || document.hidden) return;
    const renewed = !paused && Number(m.dataset.live) > 0;
    const now = new EventSource("/live?at=" + encodeURIComponent(m.dataset.at) + (renewed ? "" : "&only=notices"));
    const at = m.dataset.at;
    source = now;
    now.addEventListener("notices", (e) => notify(e.data));
    now.addEventListener("page", (e) => {
      stale("");
      if (main().dataset.at === at) receive(e.data);
    });
    now.addEventListener("trouble", () => stale("The system could not be asked again."));
    now.addEventListener("open", () => stale(""));
    now.addEventListener("error", () => {
      const refused = now.readyState === EventSource.CLOSED;
      if (renewed) stale(refused ? "The console does not renew it any more: load the page again." : "There is no connection to the console.");
      if (refused) retry = setTimeout(connect, 5000); // the browser doesn't
    });
  }

  function disconnect() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }

  // stale says that what is shown gets old, or with no reason that it doesn't. Who
  // comes back within a few seconds was hardly away.
  function stale(why) {
    if (why === "") {
      if (old && old.told) find("#said").textContent = "Up to date again";
      old = null;
    } else if (old) {
      old.why = why;
    } else {
      const one = { at: clock(), why, told: false };
      old = one;
      setTimeout(() => {
        if (old !== one) return;
        one.told = true;
        find("#said").textContent = one.why;
        marks();
      }, 5000);
    }
    marks();
  }

  // clock is the time as the page has it: the system's.
  function clock() {
    const east = Number(document.documentElement.dataset.zone);
    return new Date(Date.now() + 60000 * east).toISOString().slice(11, 19);
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
      .then((answer) => {
        if (answer.redirected) return location.assign(answer.url); // to the door
        if (answer.status >= 500 && answer.status !== 501) return stale("The system could not be asked again.");
        return answer.text().then((html) => { if (main().dataset.at === at) show(html); });
      })
      .catch(() => {}); // the stream tells
  }

  function pause(on) {
    paused = on;
    marks(on ? clock() : "");
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
    const aged = find("[data-stale]");
    if (aged) {
      aged.hidden = paused || !old || !old.told;
      find("[data-stale-at]").textContent = old ? old.at : "";
      find("[data-stale-why]").textContent = old ? old.why : "";
    }
  }

  document.addEventListener("click", (e) => {
    if (e.target.closest("[data-pause]")) pause(!paused);
    if (e.target.closest("[data-pause-off]")) pause(false);
    if (e.target.closest("[data-show-held]") && held) show(held);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  document.addEventListener("warren:page", () => { paused = false; old = null; count(); connect(); });
  document.addEventListener("warren:changed", () => { connect(); again(); });
  window.addEventListener("pagehide", disconnect);
})();
