// Draws what stands in data-chart. The figures are in the page as a table, too.
"use strict";
(() => {
  const plots = new Map(); // by element
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const sizes = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const times = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [0, "µs"]];
  function short(v, unit) {
    if (v === null || v === undefined) return "–";
    if (unit === "%") return round(100 * v) + " %";
    if (unit === "s") {
      if (v === 0) return "0";
      const [size, name] = times.find(([size]) => Math.abs(v) >= size);
      return round(v / (size || 1e-6)) + " " + name;
    }
    if (unit === "B") {
      let i = 0;
      while (Math.abs(v) >= 1024 && i < 4) { v /= 1024; i++; }
      return round(v) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][i];
    }
    for (const [size, name] of sizes) if (Math.abs(v) >= size) return round(v / size) + name;
    return round(v);
  }
  const round = (v) => String(Number(v.toPrecision(3)));

  // Moments by a clock of 24 hours, the system's as everywhere on the page; days
  // where the span is long.
  function moments(u, ticks) {
    const east = 60 * Number(document.documentElement.dataset.zone);
    const span = u.scales.x.max - u.scales.x.min;
    const form = span > 2 * 86400 ? { day: "numeric", month: "short" } : span > 600 ? { hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return ticks.map((t) => new Date((t + east) * 1000).toLocaleString("en-GB", { ...form, hour12: false, timeZone: "UTC" }));
  }

  // Vertical lines where something was changed; near one, the title says what.
  function marks(box) {
    return (u) => {
      const list = plots.has(box) ? plots.get(box).marks : [];
      const ctx = u.ctx;
      ctx.save();
      ctx.strokeStyle = colour("--warn");
      ctx.setLineDash([4, 4]);
      for (const m of list) {
        const x = u.valToPos(m.time, "x", true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, u.bbox.top);
        ctx.lineTo(x, u.bbox.top + u.bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    };
  }

  function tell(box) {
    const near = 8;
    return (u) => {
      const said = box.closest("figure").querySelector("[data-mark]");
      const at = u.cursor.left;
      const all = plots.has(box) && at >= 0 ? plots.get(box).marks : [];
      const found = all.filter((m) => Math.abs(u.valToPos(m.time, "x") - at) < near);
      said.textContent = found.slice(0, 2).map((m) => m.text).join("; ") + (found.length > 2 ? ` and ${found.length - 2} more` : "");
    };
  }

  function draw(figure) {
    const box = figure.querySelector(".plot");
    if (!box) return;
    const text = figure.dataset.chart;
    const now = plots.get(box);
    if (now && now.text === text && now.width === box.clientWidth) return;
    const data = JSON.parse(text);
    const values = [data.times, ...data.lines.map((l) => l.values)];
    const names = data.lines.map((l) => l.name).join("\n");
    if (now && now.names === names && now.width === box.clientWidth) {
      now.marks = data.marks;
      now.plot.setData(values);
      now.text = text;
      return;
    }
    if (now) now.plot.destroy();
    box.replaceChildren();
    const axis = { stroke: colour("--text-faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "11px system-ui" };
    const options = {
      width: box.clientWidth, height: 180, legend: { show: data.lines.length > 1 && data.lines.length < 9, live: true },
      cursor: { sync: { key: "page" }, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low || 0), high > 0 ? high * 1.08 : data.unit === "%" ? 0.01 : 1] } },
      axes: [{ ...axis, values: moments }, { ...axis, size: 62, values: (_, ticks) => ticks.map((v) => short(v, data.unit)) }],
      series: [{}, ...data.lines.map((l, i) => ({
        label: l.name, stroke: colour(`--chart-${(i % 8) + 1}`), width: 1.6, spanGaps: false, points: { show: data.times.length < 3 },
        value: (_, v) => short(v, data.unit),
      }))],
      hooks: { draw: [marks(box)], setCursor: [tell(box)] },
    };
    plots.set(box, { marks: data.marks, text, names, width: box.clientWidth });
    plots.get(box).plot = new uPlot(options, values, box);
  }

  function all() {
    for (const [box, p] of plots) {
      if (!box.isConnected) { p.plot.destroy(); plots.delete(box); }
    }
    document.querySelectorAll("[data-chart]").forEach(draw);
  }

  function anew() {
    for (const p of plots.values()) p.plot.destroy();
    plots.clear();
    all();
  }

  let timer = 0;
  window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(all, 120); });
  document.addEventListener("warren:page", all);
  document.addEventListener("warren:renewed", all);
  document.addEventListener("warren:themed", anew);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
})();
