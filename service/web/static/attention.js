// The page of attention: two matrices of one sentence, and what one chosen word looks at and is looked at by.

import { Problem, get, post } from "./api.js";
import { busy, clearProblems, element, remember, showProblem } from "./form.js";

const at = (id) => document.getElementById(id);
const form = at("ask"), result = at("result"), words = at("words"), text = at("text");
const settings = new URL(location.href).searchParams;
const sides = { both: at("both"), causal: at("causal") };
const read = { both: null, causal: null }; // answers of POST /v1/attention
let chosen = Number(settings.get("word") ?? 4); // by where it begins in the text; 4 is "bank"
remember(text, "attention-text");
let current = text.value.trim();
const EXAMPLE = "The bank by the river";

const radio = (name) => form.elements[name]?.value ?? document.querySelector(`[name=${name}]:checked`).value;
for (const name of ["unit", "special"]) {
  const box = [...document.querySelectorAll(`[name=${name}]`)].find((one) => one.value === settings.get(name));
  if (box) box.checked = true;
}
for (const name of ["model", "causal-model"]) {
  if ([...at(name).options].some((option) => option.value === settings.get(name))) at(name).value = settings.get(name);
}

// The address holds the settings, and never the sentence.
function note() {
  const address = new URL(location.href);
  const put = (name, value, usual) => {
    if (value === "" || value === usual || value === undefined) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  };
  put("unit", radio("unit"), "word");
  put("special", radio("special"), "show");
  put("model", at("model").value, [...at("model").options].find((o) => o.defaultSelected)?.value);
  put("word", String(chosen), "4");
  for (const side of Object.keys(sides)) {
    for (const name of ["layer", "head"]) put(`${side}-${name}`, at(`${side}-${name}`).value, "");
  }
  history.replaceState(null, "", address);
}

const ask = (model) => post("v1/attention", { text: current, model, unit: radio("unit") });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  current = text.value.trim();
  chosen = -1;
  begin();
});

async function begin() {
  clearProblems(form);
  if (!current) {
    return showProblem(form, new Problem({ detail: "there is no sentence", remedy: "type one, such as “The bank by the river”", errors: [{ pointer: "/text" }] }), { text });
  }
  await working(at("model").value, "both", async () => {
    read.both = await ask(at("model").value);
    read.causal = null;
    at("worked").hidden = true;
    const { models } = await get("v1/models");
    const causal = models.find((model) => model.name === at("causal-model").value);
    if (causal?.loaded) read.causal = await ask(causal.name);
    showAll();
  });
}

const readCausal = () => working(at("causal-model").value, "causal", async () => {
  read.causal = await ask(at("causal-model").value);
  showAll();
});
sides.causal.querySelector(".read").addEventListener("click", readCausal);

async function working(model, side, work) {
  const { models } = await get("v1/models").catch(() => ({ models: [] }));
  const loaded = models.find((one) => one.name === model)?.loaded;
  const button = sides.causal.querySelector(".read");
  button.disabled = true;
  try {
    await busy(form, side === "both" ? result : sides.causal, loaded === false ? `Loading ${model}, then reading: about 20 s the first time` : `Reading with ${model}`, work);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const place = { text, model: at("model"), layers: text, heads: text, unit: text };
    if (side === "causal") place.model = at("causal-model");
    showProblem(form, problem, place);
  } finally {
    button.disabled = false;
  }
}

function showAll() {
  for (const side of Object.keys(sides)) showSide(side);
  showWords();
  showChosen();
  note();
}

function showSide(side) {
  const panel = sides[side], data = read[side];
  const later = panel.querySelector(".later");
  for (const part of panel.querySelectorAll(".controls, .drawing, .readout, .share, .chosen")) part.hidden = !data;
  if (later) {
    later.hidden = Boolean(data) || !at("causal-model").value;
    panel.querySelector(".name").textContent = data?.model ?? (at("causal-model").value || "no causal model is served here");
  }
  if (!data) return;
  panel.querySelector(".name").textContent = data.model;
  options(side, "layer", data.layers);
  options(side, "head", data.heads);
  draw(side);
}

function options(side, name, indices) {
  const select = at(`${side}-${name}`);
  const kept = select.options.length > 1 ? select.value : settings.get(`${side}-${name}`) ?? "";
  select.replaceChildren(element("option", { value: "" }, "mean of all"), ...indices.map((i) => element("option", { value: i }, String(i))));
  select.value = indices.map(String).includes(kept) ? kept : "";
}

// What is shown: units and a matrix, the mean over the layers and heads that are looked at.
function view(side) {
  const data = read[side], pick = (name) => at(`${side}-${name}`).value;
  const layers = pick("layer") === "" ? data.weights : [data.weights[data.layers.indexOf(Number(pick("layer")))]];
  const heads = layers.flatMap((layer) => (pick("head") === "" ? layer : [layer[data.heads.indexOf(Number(pick("head")))]]));
  const mean = data.units.map((_, q) => data.units.map((_, k) => heads.reduce((sum, head) => sum + head[q][k], 0) / heads.length));
  const special = radio("special"), keep = data.units.map((_, i) => i).filter((i) => special === "show" || !data.units[i].special);
  const kept = keep.map((q) => keep.map((k) => mean[q][k]));
  const sums = kept.map((row) => row.reduce((sum, weight) => sum + weight, 0));
  const scaled = special === "textbook" ? kept.map((row, i) => row.map((weight) => (sums[i] ? weight / sums[i] : 0))) : kept;
  const inWords = data.units.map((_, i) => i).filter((i) => !data.units[i].special);
  const onWords = inWords.map((q) => inWords.reduce((sum, k) => sum + mean[q][k], 0));
  return {
    units: keep.map((i) => data.units[i]),
    weights: scaled,
    causal: data.causal,
    special,
    taken: 1 - onWords.reduce((sum, one) => sum + one, 0) / onWords.length,
    hasSpecial: inWords.length < data.units.length,
    onFirst: inWords.slice(1).reduce((sum, q) => sum + mean[q][inWords[0]], 0) / Math.max(1, inWords.length - 1),
  };
}

const heat = (weight) => `heat-${Math.round(Math.min(1, Math.max(0, weight)) * 50)}`;
const percent = (share) => `${Math.round(100 * share)} %`;

function draw(side) {
  const shown = view(side), panel = sides[side], { units, weights, causal } = shown;
  const head = element("tr", {}, element("td"), ...units.map((unit) => element("th", { scope: "col", class: unit.special && "special" }, element("span", {}, unit.text))));
  const rows = units.map((unit, q) => element("tr", {},
    element("th", { scope: "row", class: unit.special && "special" }, unit.text),
    ...units.map((other, k) => (causal && k > q
      ? element("td", { class: "masked" }, "-")
      : element("td", { class: heat(weights[q][k]), "data-weight": weights[q][k].toFixed(6), "data-at": `${q} ${k}` },
        element("span", { class: "vh" }, weights[q][k].toFixed(2)))))));
  const what = ["layer", "head"].map((name) => (at(`${side}-${name}`).value === "" ? `mean over all ${name}s` : `${name} ${at(`${side}-${name}`).value}`)).join(", ");
  const table = element("table", { class: "matrix" },
    element("caption", { class: "vh" }, `Attention of ${read[side].model}: a row is a word that looks, a column a word looked at; ${what}`),
    element("thead", {}, head), element("tbody", {}, ...rows));
  const readout = panel.querySelector(".readout");
  table.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("[data-at]");
    if (!cell) return;
    const [q, k] = cell.dataset.at.split(" ");
    readout.textContent = `“${units[q].text}” looks at “${units[k].text}”: ${Number(cell.dataset.weight).toFixed(3)}`;
  });
  panel.querySelector(".drawing").replaceChildren(table);
  panel.querySelector(".share").textContent = shareLine(shown);
  mark(side, shown);
}

function shareLine({ special, taken, hasSpecial, onFirst }) {
  if (!hasSpecial) return `This model adds no special tokens. Its first word takes their part: ${percent(onFirst)} of what the other words look at.`;
  if (special === "hide") return `Hidden: the special tokens, which take ${percent(taken)} of the words' attention. Rows are not scaled up, so they add up to less than 1.`;
  if (special === "textbook") return `As textbooks draw it: scaled to the words alone. In truth the special tokens took ${percent(taken)} of the words' attention.`;
  return `The special tokens take ${percent(taken)} of the words' attention.`;
}

// One word is chosen, and only it is in the tab order; the arrow keys move.
function showWords() {
  const units = read.both.units.filter((unit) => !unit.special);
  if (!units.some((unit) => unit.start === chosen)) chosen = (units[1] ?? units[0])?.start ?? -1;
  words.replaceChildren(...units.map((unit) => element("button", {
    type: "button", "data-start": unit.start, "aria-pressed": String(unit.start === chosen),
    tabindex: unit.start === chosen ? "0" : "-1", onclick: () => choose(unit.start),
  }, unit.text)));
}

words.addEventListener("keydown", (event) => {
  const buttons = [...words.children], now = buttons.indexOf(document.activeElement);
  const next = { ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: now - 1, ArrowUp: now - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const button = buttons[Math.min(buttons.length - 1, Math.max(0, next))];
  choose(Number(button.dataset.start));
  button.focus();
});

function choose(start) {
  chosen = start;
  for (const button of words.children) {
    const on = Number(button.dataset.start) === chosen;
    button.setAttribute("aria-pressed", String(on));
    button.tabIndex = on ? 0 : -1;
  }
  showChosen();
  note();
}

function showChosen() {
  for (const side of Object.keys(sides)) if (read[side]) mark(side, view(side));
}

// The chosen word's row and column in the matrix, the same as words, and the five strongest as a table.
function mark(side, { units, weights, causal }) {
  const panel = sides[side];
  // A causal model's pieces may be others: the unit in which the chosen word begins.
  const own = units.findIndex((unit) => !unit.special && unit.start <= chosen && chosen < unit.end);
  for (const cell of panel.querySelectorAll(".picked")) cell.classList.remove("picked");
  const place = panel.querySelector(".chosen");
  if (own < 0) return place.replaceChildren();
  const table = panel.querySelector(".matrix");
  [...table.tBodies[0].rows].forEach((row, q) => [...row.cells].forEach((cell, k) => cell.classList.toggle("picked", q === own || k === own + 1)));
  table.tHead.rows[0].cells[own + 1].classList.add("picked");
  const name = units[own].text;
  const out = units.map((unit, k) => ({ unit, weight: weights[own][k], masked: causal && k > own }));
  const back = units.map((unit, q) => ({ unit, weight: weights[q][own], masked: causal && own > q }));
  const line = (title, all) => element("p", { class: "flow" }, element("span", { class: "label" }, title), ...all.flatMap(({ unit, weight, masked }) => [
    element("span", { class: masked ? "chip masked" : `chip ${heat(weight)}`, title: masked ? "masked" : weight.toFixed(3) }, masked ? "-" : unit.text), " "]));
  const five = (all) => all.filter(({ masked }) => !masked).sort((a, b) => b.weight - a.weight).slice(0, 5);
  const [outTop, backTop] = [five(out), five(back)];
  const cells = (entry) => (entry
    ? [element("td", {}, entry.unit.text), element("td", { class: "number" }, entry.weight.toFixed(3))]
    : [element("td"), element("td")]);
  place.replaceChildren(
    line(`“${name}” looks at`, out), line(`Who looks at “${name}”`, back),
    element("table", { class: "top" },
      element("caption", {}, `The strongest five, in shares of the attention`),
      element("thead", {}, element("tr", {},
        element("th", { scope: "col" }, `“${name}” looks at`), element("th", { scope: "col", class: "number" }, "share"),
        element("th", { scope: "col" }, `looks at “${name}”`), element("th", { scope: "col", class: "number" }, "its share"))),
      element("tbody", {}, ...Array.from({ length: Math.max(outTop.length, backTop.length) }, (_, i) => element("tr", {}, ...cells(outTop[i]), ...cells(backTop[i]))))));
}

for (const side of Object.keys(sides)) {
  for (const name of ["layer", "head"]) {
    at(`${side}-${name}`).addEventListener("change", () => {
      draw(side);
      note();
    });
  }
}
for (const box of document.querySelectorAll("[name=special]")) {
  box.addEventListener("change", () => {
    for (const side of Object.keys(sides)) if (read[side]) draw(side);
    note();
  });
}
for (const box of document.querySelectorAll("[name=unit]")) box.addEventListener("change", begin);
at("model").addEventListener("change", () => {
  note();
  begin();
});

// On arrival: the worked example with all its layers and heads, or the sentence and settings of before.
async function arrive() {
  const usual = current === EXAMPLE && radio("unit") === "word" && !settings.has("model");
  if (!usual) return begin();
  const [both, causal] = document.documentElement.dataset.worked.split(" ");
  const worked = (name) => get(`${document.documentElement.dataset.static}attention-${name}.json`);
  [read.both, read.causal] = await Promise.all([worked(both), worked(causal)]);
  showAll();
}
document.addEventListener("key", begin);
arrive();
