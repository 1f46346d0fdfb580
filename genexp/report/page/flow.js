// Points on their way from noise to data: by time along the learnt velocity, or through a flow's layers.
for (const root of document.querySelectorAll("[data-flow]")) {
  const data = genexp.data(root.dataset.flow), canvas = root.querySelector("canvas"), pen = canvas.getContext("2d");
  const raw = new Int16Array(genexp.bytes(data.points)), aim = new Int16Array(genexp.bytes(data.target));
  const last = data.moments.length - 1, size = 2 * data.count;
  let now = 0, showTarget = false, showPaths = false;
  const byTime = data.kind === "time";

  // where every point is at a position between two moments, straight in between
  const at = (anywhere) => {
    const position = Math.min(last, Math.max(0, anywhere)), frame = Math.max(0, Math.min(last - 1, Math.floor(position))), share = position - frame, out = new Float32Array(size);
    for (let i = 0; i < size; i++) out[i] = data.unit * ((1 - share) * raw[frame * size + i] + share * raw[(frame + 1) * size + i]);
    return out;
  };
  const moment = (position) => {
    const frame = Math.min(last - 1, Math.floor(position)), share = position - frame;
    return (1 - share) * data.moments[frame] + share * data.moments[frame + 1];
  };
  // colour by where a point comes from: six sectors of the noise
  const sector = new Uint8Array(data.count);
  for (let i = 0; i < data.count; i++) sector[i] = Math.floor(((Math.atan2(raw[2 * i + 1], raw[2 * i]) / Math.PI + 1) / 2) * 5.999);
  const hues = ["--run-0", "--run-2", "--run-4", "--run-1", "--run-3", "--run-5"];

  const draw = () => {
    const side = genexp.sharpen(canvas), limit = data.limit, unit = side / (2 * limit), dot = Math.max(1.5, side / 260);
    const x = (value) => side / 2 + value * unit, y = (value) => side / 2 - value * unit;
    pen.clearRect(0, 0, side, side);
    if (showTarget) {
      pen.fillStyle = genexp.colour("--muted");
      pen.globalAlpha = 0.35;
      for (let i = 0; i < aim.length; i += 2) pen.fillRect(x(aim[i] * data.target_unit) - dot / 2, y(aim[i + 1] * data.target_unit) - dot / 2, dot, dot);
    }
    const points = at(now);
    hues.forEach((hue, group) => {
      pen.fillStyle = pen.strokeStyle = genexp.colour(hue);
      if (showPaths) {
        pen.globalAlpha = 0.25;
        pen.lineWidth = Math.max(1, side / 700);
        pen.beginPath();
        for (let i = 0; i < data.count; i += 6) if (sector[i] === group) {
          pen.moveTo(x(raw[2 * i] * data.unit), y(raw[2 * i + 1] * data.unit));
          for (let frame = 1; frame <= now; frame++) pen.lineTo(x(raw[frame * size + 2 * i] * data.unit), y(raw[frame * size + 2 * i + 1] * data.unit));
          pen.lineTo(x(points[2 * i]), y(points[2 * i + 1]));
        }
        pen.stroke();
      }
      pen.globalAlpha = 0.9;
      for (let i = 0; i < data.count; i++) if (sector[i] === group) pen.fillRect(x(points[2 * i]) - dot / 2, y(points[2 * i + 1]) - dot / 2, dot, dot);
    });
    pen.globalAlpha = 1;
  };
  for (const [name, flip] of [["target", () => (showTarget = !showTarget)], ["trails", () => (showPaths = !showPaths)]]) {
    const button = root.querySelector(`.${name}`);
    button.addEventListener("click", () => { button.setAttribute("aria-pressed", flip()); draw(); });
  }
  if (!aim.length) root.querySelector(".target").hidden = true;
  genexp.redraw(canvas, draw);
  genexp.flows[root.dataset.flow] = Object.assign(
    genexp.player(root, {
      last, seconds: byTime ? 4 : 1.1 * last, hold: 1.6,
      show: (position) => { now = position; draw(); },
      // the last way is that into the units of the data, and no layer
      say: (position) => (byTime ? `t = ${moment(position).toFixed(3)}` : `layer ${Math.min(moment(position), last - 1).toFixed(1)}`),
    }), { at, moment });
}
