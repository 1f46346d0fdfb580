// Points of the unit cube that turn under the pointer. A view is three rows: right, up, towards the eye.
for (const root of document.querySelectorAll("[data-cube]")) {
  const data = genexp.data(root.dataset.cube), canvas = root.querySelector("canvas"), pen = canvas.getContext("2d");
  const raw = new Uint16Array(genexp.bytes(data.points)), button = root.querySelector(".along");
  const corners = [...Array(8).keys()].map((i) => [i & 1, (i >> 1) & 1, i >> 2]);
  const edges = corners.flatMap((_, i) => [1, 2, 4].filter((bit) => !(i & bit)).map((bit) => [i, i | bit]));
  let view = data.from.map((row) => [...row]), turning = 0;

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  // after the cube has turned by angles about the upright axis of the picture and the one across it
  const turned = (from, across, up) => {
    const [c, s, tc, ts] = [Math.cos(across), Math.sin(across), Math.cos(up), Math.sin(up)], [right, above, eye] = from;
    const near = eye.map((value, i) => c * value - s * right[i]);
    return [right.map((value, i) => c * value + s * eye[i]), above.map((value, i) => tc * value - ts * near[i]), near.map((value, i) => ts * above[i] + tc * value)];
  };
  // rows that are again of length one and at right angles
  const upright = ([right, above]) => {
    const unit = (row) => { const length = Math.hypot(...row); return row.map((value) => value / length); };
    const a = unit(right), share = dot(a, above), b = unit(above.map((value, i) => value - share * a[i]));
    return [a, b, [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]];
  };

  const draw = () => {
    const side = genexp.sharpen(canvas), scale = side / 1.9, size = Math.max(1.5, side / 280);
    const place = (point) => { const away = point.map((value) => value - 0.5); return [side / 2 + scale * dot(view[0], away), side / 2 - scale * dot(view[1], away)]; };
    pen.clearRect(0, 0, side, side);
    pen.strokeStyle = genexp.colour("--muted");
    pen.lineWidth = Math.max(1, side / 700);
    pen.beginPath();
    for (const [from, to] of edges) { pen.moveTo(...place(corners[from])); pen.lineTo(...place(corners[to])); }
    pen.stroke();
    pen.fillStyle = genexp.colour("--run-0");
    for (let i = 0; i < 3 * data.count; i += 3) {
      const [x, y] = place([raw[i] / data.side, raw[i + 1] / data.side, raw[i + 2] / data.side]);
      pen.fillRect(x - size / 2, y - size / 2, size, size);
    }
  };
  const set = (next) => { view = upright(next); draw(); };
  // straight from view to view, in a second; at once for who wants no motion
  const go = (aim) => {
    const start = view, mine = ++turning, began = performance.now();
    const tick = (now) => {
      if (mine !== turning) return;
      const share = genexp.stillness ? 1 : Math.min(1, Math.max(0, (now - began) / 1000)), smooth = share * share * (3 - 2 * share);
      set(start.map((row, k) => row.map((value, i) => (1 - smooth) * value + smooth * aim[k][i])));
      if (share < 1) requestAnimationFrame(tick);
    };
    tick(began);
  };

  let held = null;
  canvas.addEventListener("pointerdown", (event) => { turning++; held = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const half = canvas.clientWidth / 2;
    set(turned(view, (event.clientX - held[0]) / half, (event.clientY - held[1]) / half));
    held = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    turning++;
    set(turned(view, 0.05 * step[0], 0.05 * step[1]));
    event.preventDefault();
  });
  button?.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    go(on ? data.along : data.from);
  });
  genexp.redraw(canvas, draw);
  genexp.cubes[root.dataset.cube] = { state: () => view };
}
