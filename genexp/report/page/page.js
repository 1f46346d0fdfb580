"use strict";
// What every part of the page shares: data out of the page, colours, light and dark, the contents, enlarging a picture.
const genexp = {
  explorers: {},
  flows: {},
  films: {},
  cubes: {},
  stillness: matchMedia("(prefers-reduced-motion: reduce)").matches,
  data: (id) => JSON.parse(document.getElementById(id).textContent),

  bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  },

  // A colour of the stylesheet, as a canvas understands it.
  colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  },

  // A canvas as sharp as the screen; returns its side in pixels.
  sharpen(canvas) {
    const side = Math.max(1, Math.round(canvas.clientWidth * Math.min(devicePixelRatio || 1, 2)));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    return side;
  },

  // Call `draw` again whenever its size or the colours change.
  redraw(canvas, draw) {
    new ResizeObserver(draw).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("colours", draw);
  },

  short(value) {
    return Math.abs(value) >= 1e4 && Math.abs(value) < 1e12 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(4));
  },
};

document.documentElement.classList.add("scripted");

{
  const root = document.documentElement, button = document.getElementById("theme");
  const keep = (value) => { try { value === undefined ? 0 : localStorage.setItem("genexp", value); return localStorage.getItem("genexp"); } catch { return null; } };
  const set = (scheme) => { root.style.colorScheme = scheme; document.dispatchEvent(new Event("colours")); };
  const kept = keep();
  if (kept === "light" || kept === "dark") set(kept);
  button?.addEventListener("click", () => {
    const now = root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    keep(next);
    set(next);
  });
}

{
  const links = new Map([...document.querySelectorAll("nav li a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      links.forEach((link) => link.classList.remove("here"));
      const link = links.get(entry.target.id), list = link.closest("ul");
      link.classList.add("here");
      list.scrollLeft = link.offsetLeft - list.offsetLeft - list.clientWidth / 3;
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section[id]").forEach((section) => links.has(section.id) && seen.observe(section));
}

{
  const dialog = document.getElementById("enlarged");
  for (const link of document.querySelectorAll("a[data-enlarge]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const from = link.querySelector("img"), image = dialog.querySelector("img");
      image.src = from.src;
      image.alt = from.alt;
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", () => dialog.close());
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch {  // where a page in a file may not: it is selected, for Ctrl-C
      getSelection().selectAllChildren(text);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
