package browsertest

// Accessible is an expression that finds what a screen reader or a keyboard would
// miss in a page, what its content policy would not allow, and what is wider than
// the window, one to a line. Tables within a figure of uPlot are its own affair.
const Accessible = `(() => {
  const wrong = [];
  const shown = (e) => e.getClientRects().length > 0;
  const name = (e) => {
    if (e.getAttribute("aria-label")) return e.getAttribute("aria-label");
    const by = e.getAttribute("aria-labelledby");
    if (by && document.getElementById(by)) return document.getElementById(by).textContent;
    if (e.labels && e.labels.length) return e.labels[0].textContent;
    if (e.matches("input, select, textarea")) return "";
    return e.textContent + [...e.querySelectorAll("img[alt]")].map((i) => i.alt).join("");
  };
  const say = (e) => e.outerHTML.slice(0, 120);
  if (document.querySelectorAll("h1").length !== 1) wrong.push(document.querySelectorAll("h1").length + " h1");
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"))
    if (shown(e) && !e.matches("pre") && name(e).trim() === "") wrong.push("no name: " + say(e));
  for (const e of document.querySelectorAll("img:not([alt])")) wrong.push("no alt: " + say(e));
  for (const e of document.querySelectorAll("svg:not([aria-hidden]):not([role])")) wrong.push("svg without a part: " + say(e));
  for (const e of document.querySelectorAll("main table")) if (!e.caption && !e.closest(".plot")) wrong.push("no caption: " + say(e));
  for (const e of document.querySelectorAll("th:not([scope])")) if (!e.closest(".plot")) wrong.push("no scope: " + say(e));
  for (const e of document.querySelectorAll("[style]")) if (!e.closest(".uplot, .plot")) wrong.push("style in a page: " + say(e));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id).filter((id) => id);
  for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) wrong.push("twice: #" + id);
  if (document.documentElement.lang === "") wrong.push("no language");
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    const sticksOut = (e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .log, pre");
    const wide = [...document.querySelectorAll("main *")].filter(sticksOut).map(say);
    wrong.push("wider than the window by " + (document.documentElement.scrollWidth - innerWidth) + ": " + wide.slice(0, 2).join(" | "));
  }
  return wrong.join("\n");
})()`
