// What makes the shop better with scripts; without them everything works, too.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // swap takes over from a page what is named, where both have it.
  const swap = (page, names) => {
    for (const name of names) {
      const fresh = page.querySelector(name), old = document.querySelector(name);
      if (fresh && old) old.replaceWith(document.adoptNode(fresh));
    }
    localise();
  };
  const read = async (response) => new DOMParser().parseFromString(await response.text(), "text/html");

  // Times are shown as the visitor's clock has them.
  const localise = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([data-local])")) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      time.dataset.local = "";
      time.title = time.textContent;
      const today = at.toDateString() === new Date().toDateString();
      time.textContent = at.toLocaleString([], today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
    }
  };

  // Forms of the cart are sent beside the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.dataset.busy !== undefined) { event.preventDefault(); return; }
    form.dataset.busy = "";
    const button = event.submitter || form.querySelector("button");
    if (button) button.setAttribute("aria-disabled", "true");
    if (form.dataset.swap === undefined) return;
    event.preventDefault();
    try {
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" });
      if (!response.ok) throw new Error(response.status);
      const focused = document.activeElement && document.activeElement.id;
      swap(await read(response), ["#cart-count", "#flash"].concat(form.dataset.swap || []));
      if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
    } catch {
      form.removeAttribute("data-swap");
      form.submit(); // the page of what went wrong says more
      return;
    }
    delete form.dataset.busy;
    if (button) button.removeAttribute("aria-disabled");
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.dataset.auto !== undefined && event.target.checkValidity()) form.requestSubmit();
  });
  // A page that comes back from the browser's memory may send its forms again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-busy]")) delete form.dataset.busy;
    for (const button of document.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  });

  // An order is followed as the server tells its changes.
  const follow = (place) => {
    const source = new EventSource(place.dataset.live);
    const show = (event) => {
      const page = new DOMParser().parseFromString(event.data, "text/html");
      const old = place.querySelector(".progress"), fresh = page.querySelector(".progress");
      if (!fresh || old && old.dataset.state === fresh.dataset.state && old.dataset.version === fresh.dataset.version) return;
      document.title = fresh.querySelector("h1").textContent + " · Burrow";
      place.replaceChildren(fresh);
      localise();
    };
    source.addEventListener("order", show);
    source.addEventListener("last", (event) => { source.close(); show(event); });
    addEventListener("pagehide", () => source.close());
  };
  for (const place of document.querySelectorAll("[data-live]")) follow(place);

  // What only changes now and then is asked for, while somebody looks.
  const poll = (place) => {
    const names = place.dataset.swap.split(" ");
    const again = async () => {
      if (!document.hidden) {
        try {
          const response = await fetch(location.href, { credentials: "same-origin" });
          if (response.ok && response.redirected) { location.replace(response.url); return; }
          if (response.ok) swap(await read(response), names);
        } catch { /* the next time */ }
      }
      const now = document.querySelector(names[0]);
      if (now && now.dataset.live) follow(now);
      else if (now && now.dataset.poll) setTimeout(again, now.dataset.poll * 1000);
    };
    setTimeout(again, place.dataset.poll * 1000);
  };
  for (const place of document.querySelectorAll("[data-poll]")) poll(place);

  localise();
})();
