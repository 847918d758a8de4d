// Vega-Lite specifications as charts, in the page's colours and width. The library is loaded when the first is near.

const AROUND = 70; // pixels that axes and padding add to a plot's height
// No code is made from text (`ast`), and no style is written into the page: the content policy allows neither.
const OPTIONS = { ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: { disableDefaultStyle: true } };
const night = window.matchMedia("(prefers-color-scheme: dark)");
let library = null;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.type = "module"; // the bundle's names stay its own
    script.src = `${document.documentElement.dataset.static}vega.js`;
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => {
      library = null;
      reject(new Error("the library did not load"));
    };
    document.head.append(script);
  });
  return library;
}

// Draws the spec into the place, and again when its width or the colour scheme changes. `dark` has for each light
// colour the dark one. Returns what draws it with other data: { name of a dataset: rows }.
export function chart(place, spec, dark = {}) {
  let data = spec.datasets, drawn = null, width = 0, turn = Promise.resolve();
  // Room is kept until it is drawn: what is below would move away from under a click.
  place.style.minHeight = `${fit(spec, place.clientWidth).height + AROUND}px`;

  async function draw() {
    place.setAttribute("aria-busy", "true");
    try {
      const embed = await load();
      width = place.clientWidth;
      const before = drawn;
      const fitted = fit({ ...spec, datasets: data }, width, before);
      drawn = await embed(place, night.matches ? recoloured(fitted, dark) : fitted, OPTIONS);
      before?.finalize();
      // Vega names its marks for the ear; one that it has no name for would be read as nothing.
      for (const mark of place.querySelectorAll("[role=graphics-symbol]:not([aria-label])")) {
        mark.removeAttribute("role");
        mark.setAttribute("aria-hidden", "true");
      }
    } catch (error) {
      place.textContent = "This chart could not be drawn; its figures are in the table below it.";
      throw error;
    } finally {
      place.style.minHeight = "";
      place.removeAttribute("aria-busy");
    }
  }
  const again = () => (turn = turn.then(draw, draw));

  new IntersectionObserver((seen, observer) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    observer.disconnect();
    again();
    night.addEventListener("change", again);
    let waiting;
    new ResizeObserver(() => {
      clearTimeout(waiting);
      waiting = setTimeout(() => Math.abs(place.clientWidth - width) > 8 && width && again(), 150);
    }).observe(place);
  }, { rootMargin: "300px" }).observe(place);
  return (other) => {
    data = { ...spec.datasets, ...other };
    if (drawn) again();
  };
}

function fit(spec, room, before) {
  if (typeof spec.width !== "number") return spec;
  const width = Math.min(spec.width, room);
  const height = spec.usermeta?.aspect ? Math.round((spec.height * width) / spec.width) : spec.height;
  // What the reader chose outlives a new drawing.
  const params = spec.params?.map((one) => (one.bind && before ? { ...one, value: before.view.signal(one.name) } : one));
  return { ...spec, width, height, ...(params ? { params } : {}) };
}

// Data are left as they are: a text may be the name of a colour.
function recoloured(value, dark, key) {
  if (key === "datasets") return value;
  if (Array.isArray(value)) return value.map((one) => recoloured(one, dark));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, recoloured(one, dark, name)]));
  }
  return dark[value] ?? value;
}
