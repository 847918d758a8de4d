// The page of vectors: sentences are compared, and a slider moves their marks from the static vector up the layers.

import { ROOT, Problem, get, post } from "./api.js";
import { busy, clearProblems, remember, showProblem } from "./form.js";
import { prepare } from "./result.js";

const at = (id) => document.getElementById(id);
const form = at("ask"), result = at("result");
const fields = { target: at("target"), texts: at("texts"), model: at("model") };
for (const [name, field] of Object.entries(fields)) remember(field, `vectors-${name}`);

const wrong = (name, detail, remedy) => new Problem({ detail, remedy, errors: [{ pointer: `/${name}` }] });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearProblems(form);
  try {
    const target = fields.target.value.trim(), model = fields.model.value;
    const texts = fields.texts.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!target) throw wrong("target", "there is no word", "give the word to compare, such as bank");
    if (!texts.length) throw wrong("texts", "there are no sentences", "write or paste two or more, one a line");
    await busy(form, result, `Reading ${texts.length} sentence${texts.length === 1 ? "" : "s"} with ${model}`, async () => {
      const made = await post("v1/compare", { target, texts, model });
      location.assign(new URL(`vectors/${made.id}`, ROOT));
      await new Promise(() => {}); // busy until the other page is there
    });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem(form, error, fields);
  }
});

function prepareSlider() {
  const slider = at("layer");
  if (!slider) return;
  const names = JSON.parse(slider.dataset.names), asked = new URL(location.href).searchParams.get("layer");
  const move = () => {
    const layer = Number(slider.value);
    slider.setAttribute("aria-valuetext", names[layer]);
    at("layer-name").textContent = names[layer];
    for (const place of result.querySelectorAll(".at")) place.textContent = names[layer];
    for (const point of result.querySelectorAll("[data-path]")) {
      point.setAttribute("transform", `translate(${point.dataset.path.split(",")[layer]})`);
    }
    for (const row of result.querySelectorAll("[data-cosines]")) {
      row.querySelector(".now").textContent = Number(row.dataset.cosines.split(",")[layer]).toFixed(3);
    }
    for (const row of result.querySelectorAll("tr[data-layer]")) row.classList.toggle("now", Number(row.dataset.layer) === layer);
  };
  const note = () => {
    const address = new URL(location.href);
    if (slider.value === slider.max) address.searchParams.delete("layer");
    else address.searchParams.set("layer", slider.value);
    history.replaceState(null, "", address);
  };
  slider.addEventListener("input", move);
  slider.addEventListener("change", note);
  if (asked !== null && /^[0-9]+$/.test(asked)) slider.value = asked;
  move();

  const told = at("told");
  for (const point of result.querySelectorAll(".point")) {
    const numbers = point.dataset.tells.split(",");
    const tell = () => {
      told.textContent = point.getAttribute("aria-label");
      for (const item of result.querySelectorAll(".sentences li")) item.classList.toggle("now", numbers.includes(item.dataset.number));
    };
    point.addEventListener("pointerenter", tell);
    point.addEventListener("focus", tell);
  }
}

async function load() {
  if (!result.dataset.load) return;
  result.setAttribute("aria-busy", "true");
  try {
    result.innerHTML = await get(result.dataset.load, "text"); // escaped by the service, and no script may run in it
    prepare(result);
    prepareSlider();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    result.replaceChildren();
    showProblem(form, error, {});
  } finally {
    result.removeAttribute("aria-busy");
  }
}
document.addEventListener("key", load);
if (result.dataset.load) load();
else {
  prepare(result);
  prepareSlider();
}
