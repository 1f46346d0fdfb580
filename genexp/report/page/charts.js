// Curves: values under the pointer, zoom by dragging, wheel or two fingers, a logarithmic axis, time instead of steps.
{
  const L = 52, B = 26, T = 10, R = 12, HALF = 3.4; // HALF: of a letter's width
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const ticks = (low, high, about = 5) => {
    const raw = Math.max(high - low, 1e-300) / about, size = 10 ** Math.floor(Math.log10(raw));
    const step = size * [1, 2, 5, 10].find((factor) => size * factor >= raw * 0.999);
    const marks = [];
    for (let i = Math.ceil(low / step); i <= high / step + 1e-9 && marks.length < 20; i++) marks.push(i * step);
    return marks;
  };

  const apart = (numbers) => { // as many digits as it takes that no two read alike
    for (let digits = 4; ; digits++) {
      const texts = numbers.map((number) => (digits === 4 ? genexp.short(number) : String(+number.toPrecision(digits))));
      if (digits > 15 || new Set(texts).size === texts.length) return texts;
    }
  };

  const chart = (figure) => {
    const data = genexp.data(figure.dataset.chart), box = figure.querySelector(".drawing");
    const several = new Set(data.lines.map((line) => line.run)).size > 1, parts = new Set(data.lines.map((line) => line.part)).size > 1;
    let log = data.log, by = "steps", view = null, hover = null, drag = null, W = 640, H = 260;
    const positive = data.lines.every((line) => line.values.every((value) => value > 0)) && data.floors.every((floor) => floor.value > 0);

    const button = (text, pressed, press) => {
      const node = document.createElement("button");
      node.type = "button";
      node.textContent = text;
      node.setAttribute("aria-pressed", pressed);
      node.addEventListener("click", () => { node.setAttribute("aria-pressed", press()); draw(); });
      figure.querySelector("figcaption").append(node);
      return node;
    };
    if (positive) button("log", log, () => (log = !log)).classList.add("log");
    if (data.lines.some((line) => line.seconds.at(-1) > 0)) button("seconds", false, () => { by = by === "steps" ? "seconds" : "steps"; view = null; return by === "seconds"; });
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const svg = make("svg", { role: "img", tabindex: 0, "aria-label": data.title });
    box.replaceChildren(svg, tip);
    new ResizeObserver(() => { // a unit of the drawing is a pixel of the page, so that its letters keep their size
      W = Math.max(200, box.clientWidth);
      H = Math.round(Math.max(180, W * 0.42));
      svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
      draw();
    }).observe(box);

    const whole = () => [Math.min(...data.lines.map((line) => line[by][0])) * (by === "steps" ? 0 : 1), Math.max(...data.lines.map((line) => line[by].at(-1)))];
    const scale = (value) => (log ? Math.log10(value) : value);

    function draw() {
      const [x0, x1] = view ?? whole(), span = x1 - x0 || 1;
      let low = Infinity, high = -Infinity;
      for (const line of data.lines) line.values.forEach((value, i) => {
        if (line[by][i] >= x0 && line[by][i] <= x1) { low = Math.min(low, scale(value)); high = Math.max(high, scale(value)); }
      });
      if (!view) for (const floor of data.floors) { low = Math.min(low, scale(floor.value)); high = Math.max(high, scale(floor.value)); }
      if (!isFinite(low)) [low, high] = [0, 1];
      const margin = 0.04 * (high - low) || 0.5 * Math.abs(high) || 1;
      low -= margin; high += margin;
      const x = (value) => L + ((W - L - R) * (value - x0)) / span;
      const y = (value) => H - B - ((H - B - T) * (scale(value) - low)) / (high - low);
      const clip = `clip-${figure.dataset.chart}`, nodes = [];
      const window_ = make("clipPath", { id: clip });
      window_.append(make("rect", { x: L, y: T - 4, width: W - L - R + 6, height: H - B - T + 8 }));
      nodes.push(window_);
      const marks = ticks(low, high).map((mark) => (log ? 10 ** mark : mark)), texts = apart(marks);
      for (const [i, value] of marks.entries()) {
        const at = y(value);
        nodes.push(make("line", { class: "grid", x1: L, x2: W - R, y1: at, y2: at }), make("text", { class: "tick", x: L - 6, y: at + 4, "text-anchor": "end" }, texts[i]));
      }
      for (const mark of ticks(x0, x1, W < 420 ? 3 : 5)) {
        const text = `${(+mark.toPrecision(6)).toLocaleString("en")}${by === "seconds" ? " s" : ""}`;
        nodes.push(make("text", { class: "tick", x: Math.min(x(mark), W - HALF * text.length), y: H - 8, "text-anchor": "middle" }, text)); // the last one whole
      }
      const inside = make("g", { "clip-path": `url(#${clip})` });
      for (const floor of data.floors) inside.append(make("line", { class: floor.run === null ? "floor" : `floor own run-${floor.run % 8}`, x1: L, x2: W - R, y1: y(floor.value), y2: y(floor.value) }));
      for (const line of data.lines) {
        const d = line.values.map((value, i) => `${i ? "L" : "M"}${x(line[by][i]).toFixed(1)} ${y(value).toFixed(1)}`).join("");
        inside.append(make("path", { class: `line run-${line.run % 8} ${line.part === "training" ? "training" : "held"}`, d }));
      }
      nodes.push(inside);
      if (hover !== null && !drag) {
        const at = x0 + (span * (hover - L)) / (W - L - R), rows = [];
        let where = null;
        for (const line of data.lines) {
          let near = 0;
          line[by].forEach((value, i) => { if (Math.abs(value - at) < Math.abs(line[by][near] - at)) near = i; });
          where ??= line[by][near];
          nodes.push(make("circle", { class: `dot run-${line.run % 8}`, r: 3.6, cx: x(line[by][near]), cy: y(line.values[near]), "clip-path": `url(#${clip})` }));
          const name = [several ? `${line.run + 1}` : "", parts ? line.part : ""].filter(Boolean).join(" ");
          const row = document.createElement("div"), mark = document.createElement("i");
          mark.className = `run-${line.run % 8}`;
          mark.textContent = name ? `${name} ` : "● ";
          row.append(mark, genexp.short(line.values[near]));
          rows.push(row);
        }
        data.floors.forEach((floor) => { const row = document.createElement("div"); row.textContent = `${floor.run === null ? "" : `${floor.run + 1} `}floor ${genexp.short(floor.value)}`; rows.push(row); });
        nodes.push(make("line", { class: "rule", x1: x(where), x2: x(where), y1: T, y2: H - B }));
        const head = document.createElement("div");
        head.textContent = by === "steps" ? `step ${where.toLocaleString("en")}` : `${where.toFixed(1)} s`;
        tip.replaceChildren(head, ...rows);
        const share = x(where) / W;
        tip.style.left = share < 0.55 ? `calc(${share * 100}% + 10px)` : "auto";
        tip.style.right = share < 0.55 ? "auto" : `calc(${(1 - share) * 100}% + 10px)`;
      }
      tip.hidden = hover === null || !!drag;
      if (drag) nodes.push(make("rect", { class: "selection", x: Math.min(drag[0], drag[1]), width: Math.abs(drag[1] - drag[0]), y: T, height: H - B - T }));
      svg.replaceChildren(...nodes);
    }

    const zoom = (left, right) => {
      const [a, b] = whole(), [x0, x1] = view ?? [a, b], unit = (x1 - x0) / (W - L - R);
      const next = [Math.max(a, x0 + unit * (left - L)), Math.min(b, x0 + unit * (right - L))];
      if (next[1] - next[0] < (b - a) / 2000) return;
      view = next[0] <= a && next[1] >= b ? null : next;
      draw();
    };
    const place = (event) => { const rect = svg.getBoundingClientRect(); return ((event.clientX - rect.left) / rect.width) * W; };
    const fingers = new Map();
    let pinch = null;
    svg.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, place(event));
      if (fingers.size === 2) { pinch = [...fingers.values()].sort((a, b) => a - b); drag = null; }
      else if (event.pointerType === "mouse" && event.button === 0) { drag = [place(event), place(event)]; svg.setPointerCapture(event.pointerId); }
    });
    svg.addEventListener("pointermove", (event) => {
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, place(event));
      if (pinch && fingers.size === 2) {
        const now = [...fingers.values()].sort((a, b) => a - b), factor = (pinch[1] - pinch[0]) / Math.max(8, now[1] - now[0]);
        const before = (pinch[0] + pinch[1]) / 2, after = (now[0] + now[1]) / 2;
        zoom(before - (after - L) * factor, before + (W - R - after) * factor);
        pinch = now;
        return;
      }
      hover = place(event);
      if (drag) drag[1] = hover;
      draw();
    });
    const release = (event) => {
      fingers.delete(event.pointerId);
      if (fingers.size < 2) pinch = null;
      const done = drag;
      drag = null;
      if (done && Math.abs(done[1] - done[0]) > 8) zoom(Math.min(...done), Math.max(...done));
      else draw();
    };
    svg.addEventListener("pointerup", release);
    svg.addEventListener("pointercancel", release);
    svg.addEventListener("pointerleave", () => { if (!drag) { hover = null; draw(); } });
    svg.addEventListener("dblclick", () => { view = null; draw(); });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== svg) return;
      event.preventDefault();
      const at = place(event), factor = Math.exp(event.deltaY / 400);
      zoom(at - (at - L) * factor, at + (W - R - at) * factor);
    }, { passive: false });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -6, ArrowRight: 6 }[event.key];
      if (step) { hover = Math.min(W - R, Math.max(L, (hover ?? W / 2) + step)); draw(); event.preventDefault(); }
      if (event.key === "+" || event.key === "-") { const at = hover ?? W / 2, factor = event.key === "+" ? 0.7 : 1.4; zoom(at - (at - L) * factor, at + (W - R - at) * factor); }
      if (event.key === "Escape") { view = hover = null; draw(); }
    });
  };
  document.querySelectorAll("[data-chart]").forEach(chart);
}
