"use strict";
(async () => {
  /* The plot library is packed: the page has a third of the size */
  const packed = document.getElementById("plotly");
  try {
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const library = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    packed.remove();
    const script = document.createElement("script");
    script.textContent = library;
    document.head.append(script);
  } catch {
    document.getElementById("unplotted").hidden = false;
    return;
  }

  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const brighter = { "#0072B2": "#56B4E9", "#D55E00": "#F28E4B", "#666666": "#9aa1a9" };
  const config = {
    displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
  };
  const json = (name) => JSON.parse(document.querySelector(`[data-name="${name}"]`)?.textContent ?? "null");

  /* Theme */
  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  function painted(text) {
    return dark.matches && !root.classList.contains("printing") ? text.replace(/#0072B2|#D55E00|#666666/g, (color) => brighter[color]) : text;
  }
  function themed(layout) {
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), automargin: true };
    const result = {
      margin: { l: 60, r: 20, t: 30, b: 50 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
      ...layout,
      template: null,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--line"), activecolor: style("--soft") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: style("--text"), family: "system-ui, DejaVu Sans, sans-serif", size: 12 },
    };
    for (const name of ["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis/.test(key))]) {
      result[name] = { ...layout[name], ...axis };
    }
    return result;
  }

  /* Plots */
  const figures = [...document.querySelectorAll(".plot")];
  function draw(element) {
    const figure = JSON.parse(painted(element.parentElement.querySelector("script").textContent));
    return Plotly.react(element, figure.data, themed(figure.layout), config);
  }
  for (const element of figures) {
    const closed = element.closest("details:not([open])");
    if (closed) closed.addEventListener("toggle", () => draw(element), { once: true });
    else draw(element);
  }

  /* Structures */
  const structures = json("structures");
  const viewer = document.getElementById("viewer");
  let frame = document.querySelector("[data-frame]")?.dataset.frame;
  for (const key of document.querySelectorAll("[data-frame]")) {
    key.addEventListener("click", () => showFrame(key.dataset.frame, true));
  }
  document.getElementById("arrows")?.addEventListener("change", () => showFrame(frame, false));

  for (const { symbol, color } of Object.values(structures?.elements ?? {})) {
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = color;
    viewer.previousElementSibling.append(dot, symbol);
  }

  function showFrame(name, scroll) {
    const shown = structures?.frames[name];
    if (!shown) return;
    frame = name;
    for (const key of document.querySelectorAll("[data-frame]")) {
      key.setAttribute("aria-pressed", String(key.dataset.frame === name));
    }
    const kind = document.getElementById("arrows");
    const [arrows, scale] = arrowLines(shown, kind.value);
    const traces = [bonds(shown), lattice(shown), arrows, atoms(shown, kind.value)];
    const scene = { aspectmode: "data", xaxis: { visible: false }, yaxis: { visible: false }, zaxis: { visible: false } };
    const layout = { ...themed({}), margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, scene };
    Plotly.react(viewer, traces, layout, config);
    document.getElementById("viewer-caption").textContent =
      `${shown.label}. Arrows: ${kind.selectedOptions[0].text}; the longest is ${scale.toPrecision(3)} eV/Angstrom.`;
    if (scroll) viewer.scrollIntoView({ block: "center" });
  }
  function atoms(shown, kind) {
    const element = (z) => structures.elements[z];
    return {
      type: "scatter3d", mode: "markers", ...columns(shown.positions),
      marker: {
        color: shown.numbers.map((z) => element(z).color),
        size: shown.numbers.map((z) => Math.min(40, Math.max(4, (100 * element(z).radius) / extent(shown.positions)))),
        line: { color: style("--soft"), width: 1 }, opacity: 1,
      },
      text: shown.numbers.map((z, i) => `atom ${i} (${element(z).symbol})<br>${Math.hypot(...shown[kind][i]).toPrecision(3)} eV/Angstrom`),
      hovertemplate: "%{text}<extra></extra>",
    };
  }
  function columns(rows) {
    return { x: rows.map((row) => row && row[0]), y: rows.map((row) => row && row[1]), z: rows.map((row) => row && row[2]) };
  }
  function extent(points) {
    return Math.max(3, ...[0, 1, 2].map((axis) => {
      const values = points.map((point) => point[axis]);
      return Math.max(...values) - Math.min(...values);
    }));
  }
  function lines(segments, color, width) {
    const points = segments.flatMap(([from, to]) => [from, to, [null, null, null]]);
    return { type: "scatter3d", mode: "lines", ...columns(points), line: { color, width }, hoverinfo: "skip" };
  }
  function bonds(shown) {
    const pairs = [];
    const radius = shown.numbers.map((z) => structures.elements[z].radius);
    shown.positions.forEach((a, i) => {
      shown.positions.slice(0, i).forEach((b, j) => {
        if (Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) < 1.1 * (radius[i] + radius[j])) pairs.push([a, b]);
      });
    });
    return lines(pairs, style("--soft"), shown.positions.length > 40 ? 2 : 5);
  }
  function lattice(shown) {
    const corner = (i, j, k) => [0, 1, 2].map((axis) => i * shown.cell[0][axis] + j * shown.cell[1][axis] + k * shown.cell[2][axis]);
    const edges = [];
    const corners = [0, 1].flatMap((i) => [0, 1].flatMap((j) => [0, 1].map((k) => corner(i, j, k))));
    if (extent(corners) > 2 * extent(shown.positions)) return lines([], style("--line"), 2); // mostly vacuum
    for (const [p, q] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      edges.push([corner(0, p, q), corner(1, p, q)], [corner(p, 0, q), corner(p, 1, q)], [corner(p, q, 0), corner(p, q, 1)]);
    }
    return lines(edges, style("--line"), 2);
  }
  function arrowLines(shown, kind) {
    const longest = Math.max(...shown[kind].map((vector) => Math.hypot(...vector)), 1e-12);
    const length = 0.3 * extent(shown.positions);
    const segments = shown.positions.map((from, i) => [from, from.map((x, axis) => x + (length / longest) * shown[kind][i][axis])]);
    return [lines(segments, style("--bad"), 6), longest];
  }

  /* Blocks */
  const blocks = json("blocks");
  const chosen = document.getElementById("block");
  const detail = document.getElementById("block-detail");
  if (blocks) {
    blocks.forEach((block, i) => chosen.add(new Option(`${block.layer}: ${block.name} (changed ${block.numbers.changed})`, i)));
    chosen.addEventListener("change", () => showBlocks([Number(chosen.value)]));
  }
  function make(tag, text, ...children) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  }
  function showBlocks(places) {
    detail.replaceChildren();
    if (places.length) chosen.value = places[0];
    for (const place of places) {
      const block = blocks[place];
      detail.append(make("h4", block.name));
      detail.append(make("dl", "", ...Object.entries(block.numbers).flatMap(([name, value]) => [make("dt", name), make("dd", value)])));
      if (!block.map) continue;
      const map = make("div");
      map.style.height = "320px";
      detail.append(make("figure", "", map, make("figcaption", "Root mean square change of the block's weights.")));
      const axis = (name, cells) => ({ title: { text: cells < 32 ? name : `${name}, pooled into ${cells}` } });
      const z = { type: "heatmap", z: block.map, colorscale: "Cividis", colorbar: { thickness: 12 } };
      Plotly.newPlot(map, [z], themed({ yaxis: { autorange: "reversed", ...axis("input channel", block.map.length) }, xaxis: axis("output channel", block.map[0].length) }), config);
      const head = make("tr", "", ...["indices (from 0)", "base weight", "change"].map((title) => make("th", title)));
      const rows = block.entries.map((entry) => make("tr", "", ...entry.map((value) => {
        const cell = make("td", String(value));
        cell.className = "number";
        return cell;
      })));
      const table = make("table", "", make("caption", "Largest entries"), make("thead", "", head), make("tbody", "", ...rows));
      const scroll = make("div", "", table);
      scroll.className = "scroll";
      detail.append(scroll);
    }
  }

  /* Clicks on plots */
  for (const element of figures) {
    const react = {
      parity: (point) => showFrame(String(point.customdata), true),
      changes: (point) => showBlocks(blocks.flatMap((block, i) => (block.layer === point.y && block.column === point.x ? [i] : []))),
    }[element.dataset.hook];
    if (react) element.on?.("plotly_click", (event) => react(event.points[0]));
  }

  /* Colours follow the system, print is light and complete */
  const redraw = () => {
    for (const element of figures) if (!element.closest("details:not([open])")) draw(element);
    if (frame) showFrame(frame, false);
  };
  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => {
    root.classList.add("printing");
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    redraw();
  });
  window.addEventListener("afterprint", () => { root.classList.remove("printing"); redraw(); });
  if (frame) showFrame(frame, false);
  if (blocks?.length) showBlocks([blocks.reduce((best, block, i) => (block.map && blocks[best].entries.length === 0 ? i : best), 0)]);
})();
