// What films and flows share: play and pause, a slider, the keyboard. `show(position)` draws; positions run from 0 to `last`.
genexp.player = (root, { last, seconds, hold, show, say }) => {
  const button = root.querySelector(".play"), slider = root.querySelector("input[type=range]"), output = root.querySelector("output");
  const canvas = root.querySelector("canvas");
  let position = 0, playing = false, before = 0, waiting = 0, wanted = !genexp.stillness;

  const go = (to) => {
    position = Math.min(last, Math.max(0, to));
    slider.value = position;
    output.textContent = say(position);
    slider.setAttribute("aria-valuetext", output.textContent);
    show(position);
  };
  const tick = (now) => {
    if (!playing) return;
    const gone = Math.min(0.1, (now - before) / 1000);
    before = now;
    if (position >= last && (waiting += gone) < hold) return requestAnimationFrame(tick);
    go(position >= last ? 0 : position + (gone * last) / seconds);
    if (position < last) waiting = 0;
    requestAnimationFrame(tick);
  };
  const play = (on) => {
    if (on === playing) return;
    playing = on;
    waiting = on && position >= last ? hold : 0;
    button.classList.toggle("playing", on);
    button.setAttribute("aria-label", on ? "pause" : "play");
    if (on) { before = performance.now(); requestAnimationFrame(tick); }
  };
  button.addEventListener("click", () => { wanted = !playing; play(wanted); });
  slider.addEventListener("input", () => { wanted = false; play(false); go(+slider.value); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === " ") { wanted = !playing; play(wanted); }
    else if (step) { wanted = false; play(false); go(Math.round(position) + step); }
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("click", () => { wanted = !playing; play(wanted); });
  new IntersectionObserver(([entry]) => play(entry.isIntersecting && wanted), { threshold: 0.35 }).observe(root);
  go(genexp.stillness ? last : 0); // who wants no motion sees where it leads
  return { go, play, state: () => ({ position, playing }) };
};
