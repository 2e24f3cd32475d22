"use strict";
// Draws the charts, and lets the heat map be filtered and sorted. No network, no state outside this page.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const config = {
    font: "system-ui, sans-serif", background: null, view: { stroke: null },
    axis: {
      labelColor: "var(--ink)", titleColor: "var(--muted)", gridColor: "var(--line)", domainColor: "var(--line)",
      tickColor: "var(--line)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8,
    },
    axisQuantitative: { labelOverlap: "greedy", labelSeparation: 8, tickCount: 6 },
    legend: { labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 12 },
    header: { labelColor: "var(--ink)", titleColor: "var(--muted)" },
    text: { color: "var(--ink)" },
  };
  const copy = (value) => JSON.parse(JSON.stringify(value));

  // Panels as wide as the page allows: as many beside each other as fit, or one chart over the whole width.
  function fit(spec, width) {
    if (spec.facet) {
      const panels = spec.usermeta.panels;
      const most = Math.max(1, Math.min(panels, Math.floor(width / 300)));
      spec.columns = Math.ceil(panels / Math.ceil(panels / most));
      spec.spec.width = Math.min(560, Math.floor((width - 130) / spec.columns) - 34);
    } else if (typeof spec.width === "number") {
      spec.width = Math.max(180, Math.min(760, width - 180)); // room for the names beside the points
    } else if (spec.width && spec.width.step) {
      spec.width = { step: room(width) };
    }
  }
  const room = (width) => Math.max(46, Math.min(130, Math.floor((width - 230) / heat.conditions.length)));

  function draw(name, spec) {
    const box = find("chart-" + name);
    if (!box) return Promise.resolve();
    fit(spec, box.clientWidth);
    return vegaEmbed(box, spec, { actions: false, renderer: "svg", config, tooltip: { theme: "custom" } })
      .then(() => { box.dataset.drawn = "yes"; })
      .catch((error) => { box.textContent = "This chart could not be drawn: " + error.message; console.error(error); });
  }

  // The heat map and its table.
  const heat = data.heat;
  const control = { task: find("heat-task"), show: find("heat-show"), family: find("heat-family"), script: find("heat-script"), sort: find("heat-sort"), condition: find("heat-condition") };
  const signed = (x) => { const t = Math.abs(x).toFixed(1); return (t === "0.0" ? "" : x > 0 ? "+" : "\u2212") + t; };
  const FAINT = 3; // points: smaller differences never get the full colour

  function chosen() {
    const { task, family, script } = control;
    return heat.rows.filter((r) => r.task === task.value && (!family.value || r.family === family.value) && (!script.value || r.script === script.value));
  }

  function ordered(rows) {
    const by = control.sort.value, last = {};
    for (const r of rows) last[r.label] = last[r.label] || { label: r.label, family: r.family, kinship: r.kinship };
    for (const r of rows) last[r.label][r.condition] = control.show.value === "delta" ? r.delta : r.value;
    const labels = Object.values(last), low = (x) => (x === null || x === undefined ? -Infinity : x);
    const text = (a, b) => a.label.localeCompare(b.label, "en");
    if (by === "name") labels.sort(text);
    else if (by === "family") labels.sort((a, b) => a.family.localeCompare(b.family, "en") || text(a, b));
    else if (by === "kinship") labels.sort((a, b) => low(b.kinship) - low(a.kinship) || text(a, b));
    else labels.sort((a, b) => low(b[by.slice(2)]) - low(a[by.slice(2)]) || text(a, b));
    return labels.map((l) => l.label);
  }

  function cell(row, largest, lowest) {
    const out = Object.assign({}, row, { interval: row.low === null ? "" : `${signed(row.low)} to ${signed(row.high)}` });
    if (control.show.value === "delta") {
      const known = row.delta !== null;
      out.hue = !known || row.condition === heat.baseline ? "plain" : row.delta >= 0 ? "up" : "down";
      out.strength = known ? Math.abs(row.delta) / Math.max(largest, FAINT) : 0;
      out.text = row.condition === heat.baseline ? row.value.toFixed(1) : known ? signed(row.delta) + (row.verdict === "open" ? "" : " *") : "";
    } else {
      out.hue = "plain";
      out.strength = (row.value - lowest) / (largest - lowest || 1);
      out.text = row.value.toFixed(1);
    }
    if (row.seen && out.text) out.text += " \u00b0";
    return out;
  }

  function paint() {
    const rows = chosen(), order = ordered(rows), deltas = control.show.value === "delta";
    const sizes = rows.map((r) => (deltas ? Math.abs(r.delta || 0) : r.value));
    const values = rows.map((r) => cell(r, Math.max(...sizes, 0), Math.min(...sizes)));
    const spec = copy(data.specs.heat), step = room(find("chart-heat").clientWidth);
    const longest = Math.max(...heat.conditions.map((name) => name.length));
    spec.data = { values };
    for (const layer of spec.layer) { delete layer.data; layer.encoding.y.sort = order; layer.encoding.x.axis.labelAngle = longest * 7 < step ? 0 : -30; }
    find("heat-count").textContent = `${order.length} of ${heat.languages} languages`;
    table(values, order);
    return Promise.all([draw("heat", spec), paintIntervals(rows, order)]);
  }

  // The same languages with their intervals and seeds, for one condition or for each.
  function paintIntervals(rows, order) {
    if (!data.specs.by_language) return null;
    const only = control.condition && control.condition.value;
    const shown = heat.compared.filter((name) => !only || name === only), values = [];
    for (const row of rows.filter((r) => r.delta !== null && shown.includes(r.condition))) {
      const words = { better: "better", worse: "worse" };
      values.push(Object.assign({}, row, { what: "mean", size: 70, verdict: words[row.verdict] || "not decided" }));
      if (row.seeds.length > 1) for (const delta of row.seeds) values.push({ what: "seed", delta, label: row.label, condition: row.condition });
    }
    const spec = copy(data.specs.by_language);
    spec.data = { values };
    spec.usermeta.panels = shown.length;
    for (const layer of spec.spec.layer) if (layer.encoding.y) layer.encoding.y.sort = order;
    return draw("by_language", spec);
  }

  function table(values, order) {
    const body = find("heat-body"), at = {};
    for (const v of values) (at[v.label] = at[v.label] || {})[v.condition] = v;
    body.replaceChildren(...order.map((label) => {
      const line = document.createElement("tr"), any = Object.values(at[label])[0];
      const add = (tag, text, kind) => { const e = document.createElement(tag); e.textContent = text; if (kind) e.className = kind; line.append(e); };
      add("th", label); add("td", any.family); add("td", any.script);
      for (const name of heat.conditions) add("td", at[label][name] ? at[label][name].text : "", "n");
      return line;
    }));
    for (const head of document.querySelectorAll("#heat-table thead th[data-sort]")) {
      if (head.dataset.sort === control.sort.value) head.setAttribute("aria-sort", head.dataset.sort.startsWith("c:") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  // A chart as a file of its own: the page's colours are put in, in light or dark as they stand.
  function save(name, form) {
    const drawing = find("chart-" + name).querySelector("svg");
    if (!drawing) return;
    const style = getComputedStyle(document.documentElement), copied = drawing.cloneNode(true);
    const box = drawing.viewBox.baseVal, paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor })) paper.setAttribute(key, value);
    copied.prepend(paper, find("patterns").querySelector("defs").cloneNode(true));
    copied.querySelector("pattern line").setAttribute("style", "stroke: var(--hatch-line); stroke-width: 2");
    copied.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const text = new XMLSerializer().serializeToString(copied).replace(/var\((--[\w-]+)\)/g, (_, key) => style.getPropertyValue(key).trim().replaceAll('"', ""));
    const address = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    const put = (href) => { const link = document.createElement("a"); link.download = `${name}.${form}`; link.href = href; document.body.append(link); link.click(); link.remove(); };
    if (form === "svg") { put(address); return; }
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas"), scale = 3;
      canvas.width = box.width * scale; canvas.height = box.height * scale;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      put(canvas.toDataURL("image/png"));
    };
    image.src = address;
  }
  for (const button of document.querySelectorAll("button[data-form]")) button.addEventListener("click", () => save(button.dataset.chart, button.dataset.form));

  function drawAll() {
    return Promise.all(Object.keys(data.specs).map((name) => (name === "heat" ? paint() : name === "by_language" ? null : draw(name, copy(data.specs[name])))));
  }

  if (heat) {
    for (const one of Object.values(control)) if (one) one.addEventListener("change", paint);
    for (const head of document.querySelectorAll("#heat-table thead th[data-sort] button")) {
      head.addEventListener("click", () => { control.sort.value = head.parentElement.dataset.sort; paint(); });
    }
  }
  find("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  // On paper nothing can be opened: all tables are shown there.
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = [...document.querySelectorAll("details:not([open])")]; for (const one of closed) one.open = true; });
  window.addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
  let width = window.innerWidth, waiting;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });
  drawAll().then(() => { document.documentElement.dataset.ready = "yes"; });
})();
