// Draws each chart of the page into the element that names it, in the page's colours and width.
// The page holds {"specs": {name: Vega-Lite}, "dark": {light colour: dark colour}} as JSON in #charts.
(() => {
  const held = JSON.parse(document.getElementById("charts").textContent);
  const dark = new Map(Object.entries(held.dark));
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();

  // Data are left as they are: a text may be the name of a colour.
  const recoloured = (value, key) => {
    if (key === "datasets") return value;
    if (Array.isArray(value)) return value.map((held) => recoloured(held));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, recoloured(held, name)]));
    return dark.get(value) ?? value;
  };

  const fitted = (spec, room, before) => {
    const width = Math.min(spec.width, room);
    const height = spec.usermeta.aspect ? Math.round((spec.height * width) / spec.width) : spec.height;
    // What the reader chose outlives a new drawing.
    const params = spec.params?.map((one) => (one.bind && before ? { ...one, value: before.signal(one.name) } : one));
    return { ...spec, width, height, ...(params ? { params } : {}) };
  };

  const draw = async (place, inDark, room) => {
    const name = place.dataset.chart;
    const before = views.get(name);
    const spec = fitted(held.specs[name], room, before?.view);
    const drawn = await window.vegaEmbed(place, inDark ? recoloured(spec) : spec, {
      actions: false,
      ast: true, // no eval: the page's policy forbids it
      defaultStyle: false,
      renderer: "svg",
      tooltip: { disableDefaultStyle: true },
    });
    before?.finalize();
    views.set(name, drawn);
    place.removeAttribute("aria-busy");
  };

  // One drawing of the page at a time; a newer one ends an older one.
  let turn = 0;
  let queue = Promise.resolve();
  const all = (inDark, width) => {
    const mine = ++turn;
    queue = queue.then(async () => {
      for (const place of document.querySelectorAll("[data-chart]")) {
        if (mine !== turn) return;
        try {
          await draw(place, inDark, width ?? place.clientWidth);
        } catch (error) {
          place.textContent = "This chart could not be drawn; its figures are in the table below it.";
          console.error(error);
        }
      }
    });
  };

  let drawnAt = document.documentElement.clientWidth;
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (document.documentElement.clientWidth === drawnAt) return;
      drawnAt = document.documentElement.clientWidth;
      all(night.matches);
    }, 150);
  });
  night.addEventListener("change", () => all(night.matches));
  window.addEventListener("beforeprint", () => all(false, 640)); // paper is white
  window.addEventListener("afterprint", () => all(night.matches));
  all(night.matches);
})();
