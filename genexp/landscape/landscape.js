// The landscape: dots over seconds, one data set at a time; a click shows the run.
{
  const runs = genexp.data("landscape-runs"), charts = genexp.data("landscape-charts");
  const box = document.getElementById("chart"), card = document.getElementById("card"), tabs = document.getElementById("fields");
  const hidden = new Set();
  let shown = 0, chosen = null;
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const element = (name, text, className) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  const colour = (number) => `var(--class-${number})`;
  const between = (low, high, log) => {
    const marks = [];
    if (log) {
      const factors = Math.log10(high / low) > 2.2 ? [1] : [1, 2, 5];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const factor of factors) { const mark = factor * 10 ** power; if (mark >= low && mark <= high) marks.push(mark); }
      return marks;
    }
    const raw = (high - low) / 6, size = 10 ** Math.floor(Math.log10(raw)), step = size * [1, 2, 5, 10].find((f) => size * f >= raw * 0.999);
    for (let i = Math.ceil(low / step); i <= high / step + 1e-9; i++) marks.push(+(i * step).toPrecision(10));
    return marks;
  };

  const limits = (chart) => {
    const values = chart.points.map((point) => point.y).sort((a, b) => a - b);
    if (chart.log) return [values[0] / 1.5, values.at(-1) * 1.5];
    const best = values[0], middle = values[values.length >> 1];
    const high = Math.min(values.at(-1), best + 2 * Math.max(middle - best, 0.02 * Math.abs(best), 1e-9)), room = Math.max(high - best, 1e-6);
    return [best - 0.08 * room, high + 0.06 * room];
  };

  const draw = () => {
    const chart = charts[shown];
    if (!chart) return;
    const W = Math.max(360, box.clientWidth), H = Math.round(Math.min(720, Math.max(380, W * 0.7))), L = 64, R = 24, T = 44, B = 52;
    const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": chart.axis });
    const [low, high] = limits(chart), begun = chart.points.filter((p) => p.curve.length > 1).map((p) => p.curve[0][0]).sort((a, b) => a - b), x0 = Math.min(Math.min(...chart.points.map((p) => p.x)) / 1.6, begun[begun.length >> 1] ?? Infinity), x1 = Math.max(...chart.points.map((p) => p.x)) * 1.6;
    const x = (value) => L + ((W - L - R) * Math.log(value / x0)) / Math.log(x1 / x0);
    const share = (value) => (chart.log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
    const y = (value) => H - B - (H - B - T) * share(value), top = (value) => Math.max(T, y(value));
    for (const mark of between(low, high, chart.log)) svg.append(make("line", { class: "grid", x1: L, x2: W - R, y1: y(mark), y2: y(mark) }), make("text", { class: "tick", x: L - 8, y: y(mark) + 4, "text-anchor": "end" }, genexp.short(mark)));
    for (const mark of between(x0, x1, true)) svg.append(make("line", { class: "grid", x1: x(mark), x2: x(mark), y1: T, y2: H - B }), make("text", { class: "tick", x: x(mark), y: H - B + 18, "text-anchor": "middle" }, genexp.short(mark)));
    svg.append(make("text", { class: "axis", x: (L + W - R) / 2, y: H - 12, "text-anchor": "middle" }, chart.seconds));
    svg.append(make("text", { class: "axis", x: L, y: 18 }, `${chart.axis}${chart.log ? " (log)" : ""}`));
    const clip = make("clipPath", { id: "inside" });
    clip.append(make("rect", { x: L, y: T, width: W - L - R, height: H - B - T }));
    const inside = make("g", { "clip-path": "url(#inside)" });
    svg.append(clip, inside);
    const off = (point) => (hidden.has(point.colour) ? " faded" : "");
    for (const point of chart.points) if (point.curve.length > 1) inside.append(make("path", { class: `path${point.run === chosen ? " chosen" : ""}${off(point)}`, style: `stroke: ${colour(point.colour)}`, d: point.curve.filter(([a]) => a >= x0).map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("") }));
    let line = "";
    chart.pareto.forEach(([a, b], i) => (line += i ? `H${x(a).toFixed(1)}V${y(b).toFixed(1)}` : `M${x(a).toFixed(1)} ${y(b).toFixed(1)}`));
    inside.append(make("path", { class: "pareto", d: `${line}H${W - R}` }));
    const taken = chart.points.map((point) => [x(point.x) - 6, top(point.y) - 6, x(point.x) + 6, top(point.y) + 6]);
    const names = make("g", {});
    for (const point of chart.points) {
      const fill = point.bound ? "var(--surface)" : colour(point.colour), at = { style: `fill: ${fill}; stroke: ${colour(point.colour)}`, tabindex: 0, role: "button", "aria-label": `${point.label}: ${genexp.short(point.y)} after ${genexp.short(point.x)} s` };
      const cx = x(point.x), cy = top(point.y), css = `${point.run === chosen ? " chosen" : ""}${off(point)}`;
      const dot = y(point.y) < T - 1 ? make("path", { ...at, class: `mark ${css}`, d: `M${cx - 6} ${cy + 6}L${cx} ${cy - 5}L${cx + 6} ${cy + 6}Z` }) : make("circle", { ...at, class: `mark ${css}`, cx, cy, r: 6 });
      dot.append(make("title", {}, `${point.label}: ${genexp.short(point.y)} after ${genexp.short(point.x)} s`));
      const press = () => choose(point.run);
      dot.addEventListener("click", press);
      dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); } });
      svg.append(dot);
    }
    svg.append(names);
    box.replaceChildren(svg);
    const named = chart.points.filter((point) => point.named && !hidden.has(point.colour)).sort((a, b) => a.y - b.y), below = [];
    for (const point of named) {
      for (const [dx, dy, anchor] of [[9, -4, "start"], [-9, -4, "end"], [9, 14, "start"], [-9, 14, "end"], [0, -12, "middle"], [0, 22, "middle"], [9, -16, "start"], [-9, -16, "end"]]) {
        const text = make("text", { class: "name", x: x(point.x) + dx, y: top(point.y) + dy, "text-anchor": anchor, style: `fill: ${colour(point.colour)}` }, y(point.y) < T - 1 ? `${point.label} ${genexp.short(point.y)}` : point.label);
        names.append(text);
        const b = text.getBBox(), edges = [b.x, b.y + 2, b.x + b.width, b.y + b.height - 2];
        const free = edges[0] > L && edges[2] < W - 4 && edges[1] > T - 4 && edges[3] < H - B && !taken.some((t) => edges[0] < t[2] && t[0] < edges[2] && edges[1] < t[3] && t[1] < edges[3]);
        const middle = (edges[1] + edges[3]) / 2, inOrder = below.every(([column, other]) => Math.abs(column - x(point.x)) > 40 || middle < other);
        if (free && inOrder) { taken.push(edges); below.push([x(point.x), middle]); break; }
        text.remove();
      }
    }
    const clocks = chart.points.filter((point) => runs[point.run].clock).length;
    document.getElementById("remark").textContent = clocks ? `${clocks} of these runs did not count CPU seconds: theirs are by the clock, which a busy machine makes longer.` : "";
  };

  const choose = (number) => {
    const run = runs[number], rows = element("dl"), head = element("h3", run.name);
    chosen = number;
    head.style.color = colour(run.colour);
    const add = (name, value) => value !== null && value !== undefined && rows.append(element("dt", name), element("dd", value));
    add("data", run.data);
    if (run.value !== null) add(run.metric, `${run.likelihood === "bound" ? "≤ " : ""}${run.value}${run.error === null ? "" : ` ± ${run.error}`}`);
    add("likelihood", run.likelihood);
    add("floor", run.floor);
    if (run.seconds) add(run.clock ? "training, by the clock" : "training, CPU", `${genexp.short(run.seconds)} s`);
    const words = { seconds_density: "1,000 densities", seconds_sample: "1,000 samples" };
    for (const name in run.facts) add(words[name] ?? name, words[name] ? `${genexp.short(run.facts[name])} s` : genexp.short(run.facts[name]));
    add("latents", run.latents);
    add("seed", run.seed);
    add("machine", run.machine);
    const parts = [head, element("p", run.family, "fine")];
    if (run.picture) { const image = element("img"); image.src = run.picture; image.alt = `samples of ${run.name}`; parts.push(image); }
    card.replaceChildren(...parts, rows, element("code", run.command));
    draw();
  };

  charts.forEach((chart, index) => {
    const tab = element("button", chart.title.replaceAll("_", " "));
    tab.type = "button";
    tab.setAttribute("aria-pressed", index === 0);
    tab.addEventListener("click", () => {
      shown = index;
      document.querySelectorAll("[data-field]").forEach((table) => (table.hidden = +table.dataset.field !== index));
      tabs.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", other === tab));
      draw();
    });
    tabs.append(tab);
  });
  document.querySelectorAll("#families button").forEach((button) => button.addEventListener("click", () => {
    const number = +button.dataset.colour;
    hidden.has(number) ? hidden.delete(number) : hidden.add(number);
    button.setAttribute("aria-pressed", !hidden.has(number));
    draw();
  }));
  document.querySelectorAll("[data-run]").forEach((button) => button.addEventListener("click", () => {
    choose(+button.dataset.run);
    const index = charts.findIndex((chart) => chart.points.some((point) => point.run === chosen));
    if (index >= 0) tabs.children[index].click();
    document.getElementById("frontier").scrollIntoView();
  }));
  new ResizeObserver(draw).observe(box);
  const wanted = decodeURIComponent(location.hash.slice(1)).match(/^field=(\d+)&run=(\d+)$/);
  tabs.children[0]?.click();
  if (wanted) { tabs.children[+wanted[1]]?.click(); choose(+wanted[2]); }
  else if (charts[0]) choose(charts[0].points.reduce((a, b) => (b.y < a.y ? b : a)).run);
}
