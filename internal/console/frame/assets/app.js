// The keyboard, the dialog, the theme, and what else needs a hand after a page
// has changed. Pages work without it.
"use strict";
(() => {
  const $ = (query, from = document) => from.querySelector(query);
  const main = () => document.getElementById("main");
  const dialog = () => document.getElementById("dialog");
  let row = "";

  const typing = (e) => e.target.closest("input, textarea, select, [contenteditable]") !== null;
  const opened = () => $("dialog[open]");
  const say = (text) => { $("#said").textContent = text; };

  // Rows

  const rows = () => [...main().querySelectorAll("tr[data-href]")];

  function mark() {
    for (const r of rows()) r.classList.toggle("at", r.id !== "" && r.id === row);
  }

  function step(by) {
    const all = rows();
    if (all.length === 0) return;
    const at = all.findIndex((r) => r.id === row);
    const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
    row = next.id;
    mark();
    main().focus({ preventScroll: true }); // enter opens the row, not a link that tab came to before
    next.scrollIntoView({ block: "nearest" });
    say(next.innerText.replace(/\s+/g, " "));
  }

  function open() {
    const link = $("tr.at a");
    if (link) link.click();
  }

  // Keys

  const named = {
    "/": () => $("#search").focus(),
    "?": () => $("#help").showModal(),
    j: () => step(1),
    k: () => step(-1),
    Enter: open,
    p: () => { const b = $("[data-pause]"); if (b) b.click(); },
    ".": () => { const s = $("[data-range]"); if (s) { s.click(); s.focus(); } },
  };

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    if (e.key === "Escape") return close(e);
    if (typing(e) || opened()) return;
    if (e.key === "Enter" && e.target.closest("a, button, summary")) return;
    const page = [...document.querySelectorAll("[data-key]")].find((a) => a.dataset.key === e.key);
    const does = named[e.key] || (page && (() => page.click()));
    if (!does) return;
    e.preventDefault();
    does();
  });

  function close(e) {
    if (opened()) return; // the browser closes it
    const menu = $("details.menu[open]");
    if (menu) {
      menu.open = false;
      $("summary", menu).focus();
    } else if (typing(e)) {
      e.target.blur();
    } else {
      row = "";
      mark();
    }
  }

  // Clicks

  document.addEventListener("click", (e) => {
    const on = (query) => e.target.closest(query);
    if (on("[data-help]")) $("#help").showModal();
    if (on("[data-close]") && dialog().open) {
      e.preventDefault();
      dialog().close();
    }
    if (on("[data-copy]")) copy(on("[data-copy]"));
    if (on("[data-theme-switch]")) {
      e.preventDefault();
      theme(on("[data-theme-switch]"));
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(e.target)) menu.open = false;
    }
    const tr = on("tr[data-href]");
    if (tr && !on("a, button, summary, input") && String(getSelection()) === "") {
      const link = $("a", tr);
      if (link) link.click();
    }
  }, true);

  // copy says what came of it. Browsers have no clipboard for pages that come in
  // the open from another machine: there, the old way has to do.
  function copy(button) {
    const told = (ok) => {
      button.dataset.was = button.dataset.was || button.textContent;
      button.textContent = ok ? "Copied" : "Can't be copied here";
      say(button.textContent);
      setTimeout(() => { button.textContent = button.dataset.was; }, 2000);
    };
    if (navigator.clipboard) return navigator.clipboard.writeText(button.dataset.copy).then(() => told(true), () => told(false));
    const area = document.createElement("textarea");
    area.value = button.dataset.copy;
    area.className = "hide";
    button.after(area);
    area.select();
    told(document.execCommand("copy"));
    area.remove();
    button.focus({ preventScroll: true });
  }

  function theme(button) {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const root = document.documentElement;
    const now = root.dataset.theme === "system" ? (dark ? "dark" : "light") : root.dataset.theme;
    const next = now === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    button.value = now;
    document.cookie = `warren_theme=${next}; path=/; max-age=31536000; samesite=strict`;
    document.dispatchEvent(new Event("warren:themed"));
  }

  // Who is not answered hears of it where he looks: in the dialog, or above the page.
  function unanswered(changes) {
    const p = document.createElement("p");
    p.className = "banner bad unanswered";
    p.setAttribute("role", "alert");
    p.textContent = changes ? "The console did not answer: it may have been done, or not." : "The console does not answer.";
    const sheet = dialog().open && $(".sheet", dialog());
    if (sheet) sheet.prepend(p);
    else $("#notices").after(p);
  }
  document.addEventListener("htmx:beforeRequest", () => document.querySelectorAll(".unanswered").forEach((p) => p.remove()));
  document.addEventListener("htmx:sendError", (e) => unanswered(e.detail.requestConfig.verb !== "get"));

  // What pages bring

  // A form in the dialog is the script's from htmx:load on; before, it is the
  // browser's, and works as well.
  document.addEventListener("htmx:load", (e) => {
    if (dialog().contains(e.target)) dialog().dataset.ready = "";
  });
  document.addEventListener("htmx:beforeSwap", (e) => {
    if (e.detail.target === dialog()) delete dialog().dataset.ready;
  });
  document.addEventListener("htmx:afterSwap", (e) => {
    if (e.detail.target === dialog()) {
      if (!dialog().open) dialog().showModal();
      if ($("[data-done]", dialog())) document.dispatchEvent(new Event("warren:changed"));
      return;
    }
    settle();
    if (e.detail.target !== document.body) return;
    const first = $("[data-first]", main()); // what the page has to say of what was sent
    (first || main()).focus({ preventScroll: true });
    if (first) first.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("warren:renewed", mark);

  function settle() {
    row = "";
    document.dispatchEvent(new Event("warren:page"));
    const here = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (here) here.scrollIntoView({ block: "center" });
  }

  // Fields that change what is listed do so at once.
  document.addEventListener("change", (e) => {
    if (e.target.matches("[data-submit]")) e.target.form.requestSubmit();
  });

  document.addEventListener("DOMContentLoaded", settle);
})();
