// Senses that are kept as a sense model, and a person's changes to them: each makes a new model, with its own address.

import { Problem, get, hasKey, post, save } from "./api.js";

export function prepareSaved(section, analysisId) {
  const place = section.querySelector(".place"), step = section.querySelector(".step");
  const error = section.querySelector(".error");
  const named = () => new URL(location.href).searchParams.get("saved");

  async function doing(what, work) {
    error.hidden = true;
    step.textContent = what;
    section.setAttribute("aria-busy", "true");
    const buttons = [...place.querySelectorAll("button:not(:disabled)")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      await work();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      error.textContent = problem.sentence;
      error.hidden = false;
      buttons.forEach((button) => (button.disabled = false));
    } finally {
      step.textContent = "";
      section.removeAttribute("aria-busy");
    }
  }

  // The analysis holds what its senses were found in; the same texts and options give the same senses.
  async function keep() {
    const analysis = await get(`v1/analyses/${analysisId}`);
    const made = await post("v1/sense-models", again(analysis));
    go(made.id);
    await show(made.id);
  }

  function go(id) {
    const address = new URL(location.href);
    address.searchParams.set("saved", id);
    history.pushState(null, "", address);
  }

  async function show(id) {
    place.innerHTML = await get(`view/saved/${id}`, "text");
    const saved = place.querySelector(".saved"), model = `v1/sense-models/${saved.dataset.id}`;
    const change = (path, body, what) => doing(what, async () => {
      const made = await post(`${model}/${path}`, body);
      go(made.id);
      await show(made.id);
      step.textContent = "Done";
    });
    saved.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    for (const item of saved.querySelectorAll("li")) {
      const { sense } = item.dataset, name = item.querySelector(".name");
      const rename = () => change("rename", { sense, label: name.value }, "Renaming");
      item.querySelector(".rename").addEventListener("click", rename);
      name.addEventListener("keydown", (event) => event.key === "Enter" && rename());
      item.querySelector(".split").addEventListener("click", () => change("split", { sense }, "Splitting"));
    }
    saved.querySelector(".merge").addEventListener("click", () => {
      const senses = [...saved.querySelectorAll("input:checked")].map((box) => box.value);
      change("merge", { senses }, "Merging");
    });
    saved.querySelector(".undo")?.addEventListener("click", () => doing("Undoing", async () => {
      go(saved.dataset.parent);
      await show(saved.dataset.parent);
    }));
    const link = saved.querySelector("a[download]");
    link.addEventListener("click", (event) => {
      if (!hasKey()) return;
      event.preventDefault();
      save(link.href, link.download);
    });
  }

  const first = place.cloneNode(true);
  function begin() {
    place.replaceChildren(...first.cloneNode(true).childNodes);
    place.querySelector(".keep").addEventListener("click", () => doing("Reading the sentences again to keep the senses", keep));
  }
  const restore = () => (named() ? doing("Loading the saved senses", () => show(named())) : begin());
  window.addEventListener("popstate", restore);
  restore();
}

// A text that uses the word twice is sent once, with both places. Offsets stay the service's own code points.
function again({ target, usages, provenance: made }) {
  const texts = new Map();
  for (const { source_id: id, text, text_start, start, end } of usages) {
    const name = JSON.stringify([id, text_start, text]);
    if (!texts.has(name)) texts.set(name, { text, id, spans: [] });
    texts.get(name).spans.push([start, end]);
  }
  return {
    target,
    texts: [...texts.values()],
    model: made.model,
    match: made.match,
    language: made.language,
    n_senses: made.n_senses,
    threshold: made.threshold,
    seed: made.seed,
    // The labels are made of the drivers; these need no test again.
    drivers: made.drivers,
    budget: made.budget,
    explained: made.explained || undefined,
    driver_form: made.driver_form,
    faithfulness: 0,
  };
}
