// The page of senses: sentences or a file become a job, whose progress is watched, and whose analysis has a page.

import { ROOT, Problem, call, get, post, read, watch } from "./api.js";
import { busy, clearProblems, remember, showProblem } from "./form.js";
import { prepare } from "./result.js";

const at = (id) => document.getElementById(id);
const form = at("ask"), result = at("result"), bar = form.querySelector(".progress"), cancel = at("cancel");
const fields = Object.fromEntries(
  ["target", "texts", "model", "n_senses", "threshold", "file"].map((name) => [name, at(name)]),
);
const setTexts = remember(fields.texts, "senses-texts");
const setTarget = remember(fields.target, "senses-target");
for (const name of ["model", "n_senses", "threshold"]) remember(fields[name], `senses-${name}`);
remember(at("match"), "senses-match");
const JOB = "polyseme-senses-job";
const LARGE_PASTE = 500_000;
const KINDS = ["txt", "csv", "tsv", "jsonl", "parquet"];
const STEPS = { read: "Reading the sentences", explain: "Finding what drove each sense", "test the drivers": "Testing the drivers" };
let aborter = null;

for (const button of form.querySelectorAll(".example")) {
  button.addEventListener("click", () => {
    setTarget(button.dataset.word);
    setTexts(button.dataset.text.trimEnd());
    forgetFile();
    form.requestSubmit();
  });
}

// A file stands in for the sentences while it is chosen.
const field = at("texts-field");
for (const kind of ["dragover", "dragleave", "drop"]) {
  field.addEventListener(kind, (event) => {
    event.preventDefault();
    field.classList.toggle("drop", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      fields.file.files = event.dataTransfer.files;
      fields.file.dispatchEvent(new Event("change"));
    }
  });
}
fields.file.addEventListener("change", () => {
  const chosen = fields.file.files.length > 0;
  at("file-clear").hidden = !chosen;
  fields.texts.disabled = chosen;
  clearProblems(form);
  if (chosen) checkKind(fields.file.files[0]);
});
// A paste that a text box could only lay out for minutes is taken as a file.
fields.texts.addEventListener("paste", (event) => {
  const pasted = event.clipboardData.getData("text/plain");
  if (pasted.length < LARGE_PASTE) return;
  event.preventDefault();
  const files = new DataTransfer();
  files.items.add(new File([pasted], "pasted.txt", { type: "text/plain" }));
  fields.file.files = files.files;
  fields.file.dispatchEvent(new Event("change"));
});
at("file-clear").addEventListener("click", () => {
  forgetFile();
  fields.texts.focus();
});

function forgetFile() {
  fields.file.value = "";
  fields.file.dispatchEvent(new Event("change"));
}

function checkKind(file) {
  if (KINDS.includes(file.name.split(".").pop().toLowerCase())) return true;
  show(wrong("file", `“${file.name}” is not of a kind that is read here`, "choose a .txt, .csv, .tsv, .jsonl or .parquet file"));
  return false;
}

const wrong = (name, detail, remedy) => new Problem({ detail, remedy, errors: [{ pointer: `/${name}` }] });

function show(problem) {
  const places = fields.file.files.length ? { ...fields, texts: fields.file, "": fields.file } : fields;
  showProblem(form, problem, places);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run(submit);
});
cancel.addEventListener("click", async () => {
  const id = sessionStorage.getItem(JOB);
  aborter?.abort();
  if (id) await call(`v1/jobs/${id}`, { method: "DELETE" }).catch(() => {});
});

async function run(begin) {
  clearProblems(form);
  aborter = new AbortController();
  bar.hidden = cancel.hidden = false;
  bar.firstElementChild.removeAttribute("value");
  try {
    await busy(form, result, "Sending the sentences", async (step) => {
      const job = await begin();
      sessionStorage.setItem(JOB, job.id);
      const ended = await watch(job.id, (now) => tell(now, step), aborter.signal);
      sessionStorage.removeItem(JOB);
      if (ended.status === "done") {
        location.assign(new URL(`senses/${ended.analysis}`, ROOT));
        await new Promise(() => {}); // busy until the other page is there
      }
      if (ended.status === "failed") throw new Problem(ended.error);
      throw new Problem({ detail: "the work was cancelled", remedy: "find the senses again when you like" });
    });
  } catch (error) {
    if (error.name !== "AbortError") {
      if (!(error instanceof Problem)) throw error;
      if (error.status) sessionStorage.removeItem(JOB);
      show(error);
    } else sessionStorage.removeItem(JOB);
  } finally {
    bar.hidden = cancel.hidden = true;
  }
}

async function submit() {
  const target = fields.target.value.trim();
  if (!target) throw wrong("target", "there is no word", "give the word whose senses you want, such as bank");
  const options = { target, model: fields.model.value, match: at("match").value };
  if (fields.n_senses.value.trim()) options.n_senses = number("n_senses", /^[0-9]+$/, "a whole number, such as 2");
  if (fields.threshold.value.trim()) options.threshold = number("threshold", /^(0?\.[0-9]+|[01](\.0+)?)$/, "a number from 0 to 1, such as 0.5");
  const [file] = fields.file.files;
  if (file) {
    if (!checkKind(file)) throw new DOMException("told already", "AbortError");
    const sent = new FormData();
    for (const [name, value] of Object.entries(options)) sent.append(name, value);
    sent.append("file", file);
    return read(await call("v1/jobs", { body: sent, signal: aborter.signal }));
  }
  const texts = fields.texts.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!texts.length) throw wrong("texts", "there are no sentences", "write or paste some, one a line");
  const { limits } = await get("v1/models");
  if (texts.length > limits.max_job_texts) {
    throw wrong("texts", `there are ${texts.length.toLocaleString("en")} sentences; the limit is ${limits.max_job_texts.toLocaleString("en")}`, "send them in parts");
  }
  const long = texts.findIndex((text) => [...text].length > limits.max_characters);
  if (long >= 0) {
    throw wrong("texts", `sentence ${long + 1} has ${[...texts[long]].length.toLocaleString("en")} characters; the limit is ${limits.max_characters.toLocaleString("en")}`, "put each sentence on a line of its own");
  }
  return post("v1/jobs", { ...options, texts }, { signal: aborter.signal });
}

function number(name, form, example) {
  const given = fields[name].value.trim();
  if (form.test(given)) return Number(given);
  throw wrong(name, `“${given}” is not a number that can be taken`, `give ${example}`);
}

function tell(job, step) {
  const { done, total, step: name, seconds_left: left } = job.progress;
  if (job.status === "queued") return step("Waiting for its turn");
  const meter = bar.firstElementChild;
  if (total) {
    meter.max = total;
    meter.value = done;
  }
  const rest = left ? `, about ${Math.ceil(left)} s left` : "";
  step(total ? `${STEPS[name] || name || "Working"}: ${done} of ${total} readings${rest}` : "Making the model ready");
}

// What was begun before a reload is watched on; a stored analysis is fetched.
const pending = sessionStorage.getItem(JOB);
async function load() {
  if (!result.dataset.load) return;
  result.setAttribute("aria-busy", "true");
  try {
    const html = await get(result.dataset.load, "text");
    result.innerHTML = html; // escaped by the service, and no script may run in it
    prepare(result);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    result.replaceChildren();
    showProblem(form, error, {});
  } finally {
    result.removeAttribute("aria-busy");
  }
}
document.addEventListener("key", load);
if (pending && !result.dataset.load) run(async () => ({ id: pending }));
if (result.dataset.load) load();
else prepare(result);
