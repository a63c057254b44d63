// Completes what is typed into a field with data-complete, which names where to
// ask. The list is a combobox as ARIA describes it; the field works without.
"use strict";
(() => {
  const field = (e) => e.target.closest && e.target.closest("[data-complete]");
  const listOf = (input) => document.getElementById(input.dataset.options);
  let timer = 0;
  let asked = 0;
  let found = { typed: "", options: [] };
  let at = -1;

  function begin(input) {
    input.removeAttribute("list"); // the browser's own list would lie above
    const is = { role: "combobox", "aria-autocomplete": "list", "aria-controls": input.dataset.options, "aria-haspopup": "listbox" };
    for (const [name, value] of Object.entries(is)) input.setAttribute(name, value);
    if (!input.hasAttribute("aria-expanded")) input.setAttribute("aria-expanded", "false");
  }

  function close(input) {
    clearTimeout(timer);
    asked++;
    at = -1;
    const list = listOf(input);
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  async function ask(input) {
    const turn = ++asked;
    const caret = input.selectionStart;
    const question = new URLSearchParams({ before: input.value.slice(0, caret), query: input.value });
    const got = await fetch(input.dataset.complete + "?" + question)
      .then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
    if (!got || turn !== asked || document.activeElement !== input || input.selectionStart !== caret) return;
    show(input, got);
  }

  function show(input, got) {
    const done = got.options.length === 1 && (got.options[0].insert || got.options[0].text) === got.typed;
    if (got.options.length === 0 || done) return close(input);
    found = got;
    at = -1;
    const list = listOf(input);
    list.replaceChildren(...got.options.map((o, i) => {
      const li = document.createElement("li");
      li.id = list.id + "-" + i;
      li.setAttribute("role", "option");
      li.setAttribute("aria-selected", "false");
      for (const [cls, text] of [["what", o.text], ["kind", o.kind], ["help", o.help]]) {
        if (!text) continue;
        const span = document.createElement("span");
        span.className = cls;
        span.textContent = text;
        li.append(span, " ");
      }
      return li;
    }));
    list.scrollTop = 0;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  }

  const shown = (input) => !listOf(input).hidden;

  function move(input, by) {
    const all = listOf(input).children;
    if (at >= 0) all[at].setAttribute("aria-selected", "false");
    at = at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length;
    all[at].setAttribute("aria-selected", "true");
    all[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", all[at].id);
  }

  function take(input, i) {
    const o = found.options[i];
    const caret = input.selectionStart;
    const insert = o.insert || o.text;
    let after = input.value.slice(caret);
    let more = "";
    if (o.kind === "function" && !after.startsWith("(")) more = "(";
    if (o.kind === "label" && /\{[^}]*$/.test(input.value.slice(0, caret)) && !/^\s*[=!]/.test(after)) more = '="';
    if (o.kind === "value" && !after.startsWith('"')) more = '"';
    const before = input.value.slice(0, caret - found.typed.length) + insert + more;
    input.value = before + after;
    input.setSelectionRange(before.length, before.length);
    close(input);
    if (more !== '"') ask(input);
  }

  document.addEventListener("focusin", (e) => { if (field(e)) begin(e.target); });
  document.addEventListener("focusout", (e) => { if (field(e)) close(e.target); });
  document.addEventListener("input", (e) => {
    const input = field(e);
    if (!input) return;
    clearTimeout(timer);
    asked++; // an answer to what stood there before would close the list, and forget to ask
    timer = setTimeout(() => ask(input), 80);
  });

  // Before the keys of the page.
  document.addEventListener("keydown", (e) => {
    const input = field(e);
    if (!input || e.isComposing) return;
    const open = shown(input);
    if (e.key === " " && e.ctrlKey) {
      ask(input);
    } else if (open && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      move(input, e.key === "ArrowDown" ? 1 : -1);
    } else if (!open && e.key === "ArrowDown") {
      ask(input);
    } else if (open && at >= 0 && (e.key === "Enter" || e.key === "Tab")) {
      take(input, at);
    } else if (open && e.key === "Escape") {
      close(input);
    } else {
      return;
    }
    e.preventDefault();
    e.stopPropagation();
  }, true);

  document.addEventListener("mousedown", (e) => {
    const li = e.target.closest("[role=option]");
    const input = document.activeElement;
    if (!li || !input || !input.dataset.complete || li.parentElement !== listOf(input)) return;
    e.preventDefault(); // the field keeps the focus
    take(input, [...li.parentElement.children].indexOf(li));
  });
})();
