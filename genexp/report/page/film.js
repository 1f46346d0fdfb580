// Films: frames that were a GIF, drawn on a canvas.
for (const root of document.querySelectorAll("[data-film]")) {
  const data = genexp.data(root.dataset.film), paper = root.querySelector(".paper"), poster = paper.querySelector("img");
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = data.width;
  canvas.height = data.height;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", poster.alt.replace(/, its last frame$/, ""));
  const starts = [];
  let total = 0;
  for (const stay of data.milliseconds) { starts.push(total); total += stay; }
  const pictures = data.frames.map((frame) => { const image = new Image(); image.src = frame; return image; });
  let drawn = -1;
  const show = (position) => {
    const number = Math.min(pictures.length - 1, Math.floor(position + 1e-6)), image = pictures[number];
    if (number === drawn) return;
    if (!image.complete) { image.decode().then(() => show(position), () => {}); return; }
    drawn = number;
    pen.drawImage(image, 0, 0, data.width, data.height);
  };
  Promise.all(pictures.map((image) => image.decode())).then(() => {
    paper.replaceChildren(canvas);
    const last = data.frames.length - 1;
    genexp.films[root.dataset.film] = Object.assign(
      genexp.player(root, {
        last, show, seconds: starts[last] / 1000 || 1, hold: data.milliseconds[last] / 1000,
        say: (position) => `${Math.floor(position + 1e-6) + 1} / ${last + 1}`,
      }), { pictures });
  });
}
