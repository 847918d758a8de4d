// Vega-Lite specifications as charts. The library is loaded when the first chart is asked for.

let library = null;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.type = "module"; // the bundle's names stay its own
    script.src = `${document.documentElement.dataset.static}vega.js`;
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => {
      library = null;
      reject(new Error("the library for charts did not load"));
    };
    document.head.append(script);
  });
  return library;
}

// No code is made from text (`ast`), and no style is written into the page: the content policy allows neither.
const OPTIONS = { ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: { disableDefaultStyle: true } };

export async function draw(place, spec) {
  place.setAttribute("aria-busy", "true");
  try {
    const embed = await load();
    return await embed(place, spec, OPTIONS);
  } finally {
    place.removeAttribute("aria-busy");
  }
}
