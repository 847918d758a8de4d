// Calls to the service this page came from. An error is a Problem: what is wrong, where in the request, the remedy.

export const ROOT = new URL(document.documentElement.dataset.root, location.href);
const KEY = "polyseme-key";

export class Problem extends Error {
  constructor({ status = 0, detail, remedy = "", errors = [] }) {
    super(detail);
    Object.assign(this, { status, remedy, errors });
  }
  // The part of the request that it is about: "/texts/3" is about "texts".
  get field() {
    return this.errors.length ? this.errors[0].pointer.split("/")[1] || "" : "";
  }
  get sentence() {
    const what = this.message.charAt(0).toUpperCase() + this.message.slice(1);
    return this.remedy ? `${what}: ${this.remedy}.` : `${what}.`;
  }
}

const gone = () => new Problem({
  detail: "the service does not answer",
  remedy: "what you typed is still here; try again when the service runs",
});

export async function call(path, { json, headers = {}, ...options } = {}) {
  const key = sessionStorage.getItem(KEY);
  const sent = { ...headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    sent["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), { method: options.body ? "POST" : "GET", ...options, headers: sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw gone();
  }
  if (answer.ok) return answer;
  const kind = answer.headers.get("content-type") || "";
  const told = kind.includes("json") ? await answer.json().catch(() => null) : null;
  const problem = new Problem(told || { status: answer.status, detail: `the service answered ${answer.status}` });
  if (problem.status === 401) askForKey();
  throw problem;
}

// The body, which may still break off after the answer has begun.
export async function read(answer, kind = "json") {
  try {
    return await answer[kind]();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw gone();
  }
}

export const get = async (path, kind) => read(await call(path), kind);
export const post = async (path, json, options) => read(await call(path, { json, ...options }));

// A job until its end, told to `tell` whenever it changes. A connection that breaks off is made again a few times.
export async function watch(id, tell, signal) {
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await call(`v1/jobs/${id}/events`, { signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events.filter((event) => event.startsWith("data: "))) {
          const job = JSON.parse(event.slice(6));
          tell(job);
          if (job.finished) return job;
          attempt = 0;
        }
      }
    } catch (error) {
      if (error.name === "AbortError" || (error instanceof Problem && error.status)) throw error;
    }
    if (attempt === 4) throw gone();
    await new Promise((resolve) => setTimeout(resolve, 400 * (attempt + 1)));
  }
}

// A file of the service that wants the key, which a plain link cannot send.
export async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await read(await call(path), "blob"));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

function askForKey() {
  const field = document.getElementById("key");
  if (!field) return;
  const error = document.getElementById("key-error");
  error.textContent = sessionStorage.getItem(KEY)
    ? "This key is not known here: give the one you were given." : "The service asks for a key: give the one you were given.";
  error.hidden = false;
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

document.getElementById("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("key");
  const given = field.value.trim();
  if (given) sessionStorage.setItem(KEY, given);
  else sessionStorage.removeItem(KEY);
  field.value = "";
  field.removeAttribute("aria-invalid");
  document.getElementById("key-error").hidden = true;
  document.dispatchEvent(new Event("key"));
});
