// The latent plane: a decoder in a few lines. z, cos and sin of 2πBz, the class → linear layers → a picture.
{
  const halves = (text) => {
    const raw = new Uint16Array(genexp.bytes(text)), out = new Float32Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      const bits = raw[i], exponent = (bits >> 10) & 31, fraction = bits & 1023;
      const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
      out[i] = bits & 32768 ? -size : size;
    }
    return out;
  };
  const erf = (x) => { // Abramowitz & Stegun 7.1.26: within 1.5e-7
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
    return x < 0 ? -y : y;
  };
  const activations = {
    relu: (h) => (h > 0 ? h : 0),
    silu: (h) => h / (1 + Math.exp(-h)),
    tanh: Math.tanh,
    gelu: (h) => 0.5 * h * (1 + erf(h / Math.SQRT2)),
  };

  const decoder = genexp.decoder = (data) => {
    const layers = data.layers.map((layer) => ({ ...layer, weights: halves(layer.weights), bias: new Float32Array(genexp.bytes(layer.bias)) }));
    const waves = data.frequencies ? new Float32Array(genexp.bytes(data.frequencies)) : new Float32Array(0), many = waves.length / 2;
    const activate = activations[data.activation];
    return (z, label = 0) => {
      let h = new Float32Array(layers[0].inputs);
      h[0] = z[0];
      h[1] = z[1];
      for (let i = 0; i < many; i++) {
        const phase = 2 * Math.PI * (z[0] * waves[i] + z[1] * waves[many + i]);
        h[2 + i] = Math.cos(phase);
        h[2 + many + i] = Math.sin(phase);
      }
      if (data.conditions) h[2 + 2 * many + label] = 1;
      layers.forEach(({ inputs, outputs, weights, bias, added }, number) => {
        const out = new Float32Array(outputs), last = number === layers.length - 1;
        for (let o = 0, w = 0; o < outputs; o++) {
          let sum = bias[o];
          for (let i = 0; i < inputs; i++) sum += weights[w++] * h[i];
          out[o] = last ? (data.output === "sigmoid" ? 1 / (1 + Math.exp(-sum)) : Math.min(1, Math.max(0, sum))) : activate(sum) + (added ? h[o] : 0);
        }
        h = out;
      });
      return h;
    };
  };

  for (const root of document.querySelectorAll("[data-explorer]")) {
    const data = genexp.data(root.dataset.explorer), decode = decoder(data), [channels, height, width] = data.shape;
    const plane = root.querySelector(".plane"), pen = plane.getContext("2d"), picture = root.querySelector(".picture");
    const place = root.querySelector(".place"), extent = data.extent, chooser = root.querySelector("select");
    const raw = new Int16Array(genexp.bytes(data.points)), labels = new Uint8Array(genexp.bytes(data.labels));
    let z = [0, 0], label = 0, tiles = null, showTiles = false, background = null;
    picture.width = width;
    picture.height = height;

    const image = (values) => {
      const out = new ImageData(width, height), size = width * height;
      for (let i = 0; i < size; i++) {
        for (let c = 0; c < 3; c++) out.data[4 * i + c] = 255 * values[(channels === 3 ? c * size : 0) + i];
        out.data[4 * i + 3] = 255;
      }
      return out;
    };
    const colour = (index) => genexp.colour(`--class-${index % 10}`);

    // The plane without the pointer's cross: the test pictures' points, or decoded pictures on a lattice.
    const paint = () => {
      const side = genexp.sharpen(plane), to = (value) => ((value + extent) / (2 * extent)) * side;
      background = new OffscreenCanvas(side, side);
      const brush = background.getContext("2d");
      if (showTiles && tiles) {
        brush.imageSmoothingEnabled = true;
        brush.drawImage(tiles, 0, 0, side, side);
        return;
      }
      brush.strokeStyle = genexp.colour("--grid");
      const ring = 10 ** Math.max(0, Math.floor(Math.log10(extent / 2)));
      for (let r = ring; r <= extent; r += ring) { brush.beginPath(); brush.arc(side / 2, side / 2, (r / extent) * (side / 2), 0, 7); brush.stroke(); }
      brush.beginPath(); brush.moveTo(side / 2, 0); brush.lineTo(side / 2, side); brush.moveTo(0, side / 2); brush.lineTo(side, side / 2); brush.stroke();
      const count = raw.length / 2, dot = Math.max(1.2, side / (count > 3000 ? 420 : 220));
      brush.globalAlpha = count > 3000 ? 0.55 : 0.8;
      const groups = labels.length ? [...new Set(labels)].sort((a, b) => a - b) : [null];
      for (const group of groups) {
        brush.fillStyle = group === null ? genexp.colour("--accent") : colour(group);
        for (let i = 0; i < count; i++) if (group === null || labels[i] === group) brush.fillRect(to(raw[2 * i] * data.unit) - dot / 2, side - to(raw[2 * i + 1] * data.unit) - dot / 2, dot, dot);
      }
    };
    const draw = () => {
      const side = plane.width, x = ((z[0] + extent) / (2 * extent)) * side, y = side - ((z[1] + extent) / (2 * extent)) * side;
      pen.clearRect(0, 0, side, side);
      pen.drawImage(background, 0, 0);
      pen.lineWidth = Math.max(1.5, side / 300);
      pen.strokeStyle = showTiles ? "#f0873c" : genexp.colour("--ink");
      const reach = side / 36;
      pen.beginPath(); pen.arc(x, y, reach * 0.62, 0, 7);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { pen.moveTo(x + dx * reach * 0.62, y + dy * reach * 0.62); pen.lineTo(x + dx * reach * 1.5, y + dy * reach * 1.5); }
      pen.stroke();
    };
    const visit = (to) => {
      z = to.map((value) => Math.min(extent, Math.max(-extent, value)));
      picture.getContext("2d").putImageData(image(decode(z, label)), 0, 0);
      place.textContent = `z = (${z[0].toFixed(2)}, ${z[1].toFixed(2)})`;
      draw();
    };
    const again = () => { paint(); draw(); };

    // walking by itself, around and outwards and back
    const walk = root.querySelector(".walk");
    let walking = false, since = 0;
    const stroll = (now) => {
      if (!walking) return;
      const t = (now - since) / 1000, radius = extent * (0.42 + 0.28 * Math.sin(t * 0.23));
      visit([radius * Math.cos(t * 0.5), radius * Math.sin(t * 0.5)]);
      requestAnimationFrame(stroll);
    };
    const stop = () => { walking = false; walk.setAttribute("aria-pressed", false); };
    walk.addEventListener("click", () => {
      if (walking) return stop();
      walking = true;
      walk.setAttribute("aria-pressed", true);
      since = performance.now() - 1000 * (Math.atan2(z[1], z[0]) / 0.5);
      requestAnimationFrame(stroll);
    });

    const follow = (event) => {
      const rect = plane.getBoundingClientRect();
      stop();
      visit([(2 * (event.clientX - rect.left) / rect.width - 1) * extent, (1 - 2 * (event.clientY - rect.top) / rect.height) * extent]);
    };
    plane.addEventListener("pointermove", follow);
    plane.addEventListener("pointerdown", follow);
    plane.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      stop();
      const step = extent / (event.shiftKey ? 10 : 50);
      visit([z[0] + step * way[0], z[1] + step * way[1]]);
    });

    // decoded pictures all over the plane, a few with every frame of the screen
    const button = root.querySelector(".pictures");
    const fill = () => {
      const side = Math.max(8, Math.min(26, Math.floor(760 / width)));
      tiles = new OffscreenCanvas(side * width, side * height);
      const brush = tiles.getContext("2d"), mine = tiles;
      let next = 0;
      const some = () => {
        const until = performance.now() + 12;
        while (next < side * side && performance.now() < until) {
          const column = next % side, row = Math.floor(next / side);
          brush.putImageData(image(decode([((column + 0.5) / side * 2 - 1) * extent, (1 - (row + 0.5) / side * 2) * extent], label)), column * width, row * height);
          next++;
        }
        if (showTiles && mine === tiles) again();
        if (next < side * side && mine === tiles) requestAnimationFrame(some);
      };
      some();
    };
    button.addEventListener("click", () => {
      showTiles = !showTiles;
      button.setAttribute("aria-pressed", showTiles);
      if (showTiles && !tiles) fill();
      again();
    });

    const names = data.conditions ? data.classes : [];
    names.forEach((name, index) => chooser.append(new Option(name, index)));
    chooser.parentElement.hidden = !names.length;
    chooser.addEventListener("change", () => { label = +chooser.value; tiles = null; if (showTiles) fill(); visit(z); });
    if (labels.length) for (const index of [...new Set(labels)].sort((a, b) => a - b)) {
      const item = document.createElement("li"), mark = document.createElement("i");
      mark.style.background = `var(--class-${index % 10})`;
      item.append(mark, data.classes[index] ?? String(index));
      root.querySelector(".legend").append(item);
    }
    genexp.explorers[root.dataset.explorer] = { decode, visit, state: () => ({ z, label }) };
    genexp.redraw(plane, again);
    paint();
    visit([0, 0]);
  }
}
