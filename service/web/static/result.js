// An analysis on a page: its table sorts and filters, its charts are drawn, its files are fetched, its senses are kept.

import { hasKey, save } from "./api.js";
import { chart } from "./charts.js";
import { prepareSaved } from "./saved.js";

export function prepare(place) {
  const result = place.querySelector(".result");
  if (!result) return;
  const table = result.querySelector(".kwic");
  if (table) prepareTable(result, table);
  for (const link of result.querySelectorAll("a[download]")) downloadWithKey(link);
  if (result.querySelector("[data-chart]")) drawCharts(result);
  const saved = result.querySelector("[data-saved]");
  if (saved) prepareSaved(saved, result.dataset.id);
}

function prepareTable(result, table) {
  const rows = [...table.querySelectorAll("tr.usage")].map((row) => ({
    row,
    more: document.getElementById(`${row.id}-more`),
    text: row.textContent.toLowerCase(),
  }));
  const body = table.tBodies[0];
  const filter = result.querySelector("#kwic-filter"), count = result.querySelector("#kwic-count");
  const only = [...result.querySelectorAll("button.only")];
  let sense = null;

  for (const { row, more } of rows) {
    const button = row.querySelector(".keyword button");
    button.addEventListener("click", () => {
      more.hidden = !more.hidden;
      button.setAttribute("aria-expanded", String(!more.hidden));
    });
  }

  const headings = [...table.querySelectorAll("th[aria-sort]")];
  for (const heading of headings) {
    const { by } = heading.firstElementChild.dataset;
    heading.firstElementChild.addEventListener("click", () => {
      const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", other === heading ? order : "none"));
      const name = `by${by.charAt(0).toUpperCase()}${by.slice(1)}`, sign = order === "ascending" ? 1 : -1;
      const words = by === "left" || by === "right";
      const compare = (a, b) => {
        const [one, two] = [a.row.dataset[name], b.row.dataset[name]];
        return sign * (words ? one.localeCompare(two) : one - two);
      };
      for (const { row, more } of [...rows].sort(compare)) body.append(row, more);
    });
  }

  const show = () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const { row, more, text } of rows) {
      const fits = (sense === null || row.dataset.sense === sense) && text.includes(wanted);
      row.hidden = !fits;
      if (!fits) {
        more.hidden = true;
        row.querySelector(".keyword button").setAttribute("aria-expanded", "false");
      }
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length} usage${rows.length === 1 ? "" : "s"} shown`;
    result.dispatchEvent(new CustomEvent("only", { detail: sense }));
  };
  filter.addEventListener("input", show);
  for (const button of only) {
    button.addEventListener("click", () => {
      sense = sense === button.dataset.sense ? null : button.dataset.sense;
      only.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.sense === sense)));
      show();
    });
  }
}

// A plain link cannot send the key.
function downloadWithKey(link) {
  link.addEventListener("click", async (event) => {
    if (!hasKey()) return;
    event.preventDefault();
    await save(link.href, link.download);
  });
}

function drawCharts(result) {
  const { specs, dark } = JSON.parse(result.querySelector("script.specs").textContent);
  for (const place of result.querySelectorAll("[data-chart]")) {
    const spec = specs[place.dataset.chart];
    const redraw = chart(place, spec, dark);
    if (place.dataset.chart === "sense-map") {
      result.addEventListener("only", ({ detail: sense }) => {
        const fits = (row) => sense === null || document.getElementById(row.usage)?.dataset.sense === sense;
        redraw({ usages: spec.datasets.usages.filter(fits), senses: sense === null ? spec.datasets.senses : [] });
      });
    }
  }
}
