// What every form does: keep what was typed, say what is wrong by the field it concerns, and show that work goes on.

// A field's text outlives a reload, in this tab only and never in an address.
export function remember(field, name) {
  const at = `polyseme-${name}`;
  const kept = sessionStorage.getItem(at), usual = field.value;
  if (kept !== null) field.value = kept;
  if (field.selectedIndex === -1) field.value = usual; // a model that is not served any more
  field.addEventListener("input", () => keep(at, field.value));
  return (value) => {
    field.value = value;
    keep(at, value);
  };
}

function keep(at, value) {
  try {
    sessionStorage.setItem(at, value);
  } catch {
    sessionStorage.removeItem(at); // too much for the browser to keep; the page still has it
  }
}

// `fields` are controls by the name that the request has for them; each has a <p class="error" id="...-error">.
// What concerns none of them stands at the form's own, `${form.id}-error`.
export function showProblem(form, problem, fields) {
  clearProblems(form);
  if (problem.status === 401 && document.getElementById("key")) return; // it is said there
  const field = fields[problem.field];
  form.closest("details")?.setAttribute("open", "");
  const place = document.getElementById(`${(field || form).id}-error`);
  place.textContent = problem.sentence;
  place.hidden = false;
  field?.setAttribute("aria-invalid", "true");
  (field || place).scrollIntoView({ block: "nearest" });
  field?.focus();
}

export function clearProblems(form) {
  for (const error of form.querySelectorAll(".error")) error.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

// The form while `work` goes on: its button is off, `place` is busy and says the step.
export async function busy(form, place, step, work) {
  const buttons = [...form.querySelectorAll("button[type=submit], button.primary")];
  buttons.forEach((button) => (button.disabled = true));
  place.setAttribute("aria-busy", "true");
  const line = form.querySelector("[role=status]");
  line.textContent = step;
  line.scrollIntoView({ block: "nearest" });
  try {
    return await work((text) => (line.textContent = text));
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    place.removeAttribute("aria-busy");
    line.textContent = "";
  }
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
