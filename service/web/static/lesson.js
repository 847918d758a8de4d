// The page of the lesson: measurements are fetched after the first paint, questions come before their answers.

import { Problem, get, post } from "./api.js";
import { chart } from "./charts.js";
import { clearProblems, element, remember, showProblem } from "./form.js";

const at = (id) => document.getElementById(id);
const address = new URL(location.href);
const showAll = address.searchParams.get("show") === "all";
// What is quickest first; the service measures one at a time.
const ORDER = ["cross", "masking", "paths", "parallel", "cost", "variants"];

// A part is ready once its figures are in place; a reader sees them when he has answered, or asked to see them.
async function measure(part) {
  const place = at(`${part}-measured`), step = at(`${part}-step`);
  const error = place.parentElement.querySelector(":scope > .error"), again = place.parentElement.querySelector(":scope > .again");
  error.hidden = again.hidden = true;
  place.setAttribute("aria-busy", "true");
  step.textContent = `${step.dataset.step} …`;
  try {
    place.innerHTML = await get(`view/lesson/${part}`, "text"); // escaped by the service, and no script may run in it
    const { specs, dark } = JSON.parse(place.querySelector("script.specs").textContent);
    for (const drawing of place.querySelectorAll("[data-chart]")) chart(drawing, specs[drawing.dataset.chart], dark);
    step.textContent = place.hidden ? "Measured. Answer, and see." : "";
    place.dispatchEvent(new Event("ready"));
  } catch (problem) {
    step.textContent = "";
    if (!(problem instanceof Problem)) throw problem;
    error.textContent = `This was not measured. ${problem.sentence}`;
    error.hidden = again.hidden = false;
  } finally {
    place.removeAttribute("aria-busy");
  }
}

function reveal(part) {
  const place = at(`${part}-measured`);
  place.hidden = false;
  if (place.querySelector(".found")) at(`${part}-step`).textContent = "";
}

for (const form of document.querySelectorAll("form.guess")) {
  const part = form.dataset.for, place = at(`${part}-measured`), verdict = form.querySelector(".verdict");
  const tell = () => {
    const chosen = form.querySelector("input:checked"), found = place.querySelector(".found");
    if (!chosen || place.hidden) return;
    if (!found) {
      verdict.textContent = "Your answer is kept; the measurement is not there yet.";
      return;
    }
    const right = chosen.value === found.dataset.answer;
    verdict.textContent = `${right ? "As you said." : "Not as you said."} Measured: ${found.dataset.words}.`;
    verdict.className = `verdict ${right ? "right" : "wrong"}`;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.querySelector("input:checked")) {
      verdict.textContent = "Choose one first, or show it without an answer.";
      form.querySelector("input").focus();
      return;
    }
    reveal(part);
    tell();
  });
  form.querySelector(".show").addEventListener("click", () => {
    reveal(part);
    place.focus({ preventScroll: true });
  });
  place.addEventListener("ready", tell);
}

for (const again of document.querySelectorAll("button.again")) {
  const { part } = again.parentElement.querySelector(".measured").dataset;
  again.addEventListener("click", () => measure(part));
}

if (showAll) {
  for (const form of document.querySelectorAll("form.guess")) {
    form.hidden = true;
    reveal(form.dataset.for);
  }
  const link = at("show-all");
  link.textContent = "Ask me before each measurement";
  link.href = location.pathname;
}

// A link to a part shows its measurement: the exercise's feedback points there.
function follow(part) {
  if (at(`${part}-measured`)) reveal(part);
}
document.addEventListener("click", ({ target }) => {
  if (target.matches?.(".feedback a")) follow(target.hash.slice(1));
});

const titles = Object.fromEntries([...document.querySelectorAll("nav.parts a")].map((a) => [a.hash.slice(1), a.textContent]));
const pointer = (part) => element("a", { href: `#${part}` }, `See: ${titles[part]}`);

function tellChoice(place, told) {
  place.replaceChildren(
    element("p", { class: told.right ? "verdict right" : "verdict wrong" }, told.said),
    element("p", {}, pointer(told.chart)),
  );
}

function tellTyped(place, told) {
  place.replaceChildren(element("p", {}, told.said));
  for (const [name, ideas] of [["Look again", told.mistaken], ["Recognised", told.found], ["Not recognised", told.missing]]) {
    if (!ideas.length) continue;
    const items = ideas.map((idea) => element("li", { "data-idea": idea.id },
      element("strong", {}, idea.name), idea.words.length ? ` (by “${idea.words.join("”, “")}”)` : "", `. ${idea.why} `, pointer(idea.chart)));
    place.append(element("h3", {}, name), element("ul", {}, ...items));
  }
}

function exercise(form, field, value, missing, tell) {
  const place = form.querySelector(".feedback");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearProblems(form);
    try {
      const answer = value();
      if (!answer) throw new Problem({ detail: missing, remedy: "then it can be looked at", errors: [{ pointer: "/answer" }] });
      tell(place, await post("v1/lesson/exercise", { answer }));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      place.replaceChildren();
      showProblem(form, problem, field ? { answer: field } : {});
    }
  });
}

remember(at("answer"), "lesson-answer");
exercise(at("choose"), null, () => at("choose").querySelector("input:checked")?.value, "no answer is chosen: choose one", tellChoice);
exercise(at("write"), at("answer"), () => at("answer").value.trim(), "there is no answer: write one", (place, told) =>
  (told.kind === "choice" ? tellChoice : tellTyped)(place, told));

const start = () => ORDER.forEach((part) => at(`${part}-measured`).querySelector(".found") || measure(part));
document.addEventListener("key", start);
window.addEventListener("beforeprint", () => document.querySelectorAll("form.guess").forEach((form) => reveal(form.dataset.for)));
start();
