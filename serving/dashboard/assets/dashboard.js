// Asks for the rows of each panel, draws them, and looks again while the page is seen.

import { draw, make } from "./charts.js";
import { moment, span } from "./format.js";

const { refresh, query } = document.body.dataset;
const panels = [...document.querySelectorAll(".panel")].map((element) => ({
  element, name: element.id, kind: element.dataset.kind, body: element.querySelector(".body"),
  title: element.querySelector("h2").textContent, note: element.querySelector(".note"), foot: element.querySelector(".foot"), tag: null, data: null, width: 0,
}));

async function ask(panel) {
  const address = `/panels/${panel.name}.json${query ? `?${query}` : ""}`;
  const answer = await fetch(address, { headers: panel.tag ? { "if-none-match": panel.tag } : {}, cache: "no-store" });
  panel.element.removeAttribute("aria-busy");
  if (answer.status === 304) return;
  const told = await answer.json();
  if (!answer.ok) {
    panel.tag = null;
    panel.data = null;
    note(panel, null);
    say(panel, told.message, told.hint);
    return;
  }
  panel.tag = answer.headers.get("etag");
  panel.data = { columns: told.columns, records: told.rows.map((row) => Object.fromEntries(row.map((value, n) => [told.names[n], value]))) };
  panel.foot.textContent = foot(told);
  note(panel, told.note);
  show(panel);
}

function foot({ tables, unheeded }) {
  const [first] = tables;
  const written = first.committed_at ? `, written ${moment(first.committed_at)} UTC` : "";
  const ignored = unheeded.length ? ` · not filtered by ${unheeded.join(", ").replaceAll("_", " ")}` : "";
  return `${first.table}, version ${first.version}${written}${ignored}`;
}

function note(panel, why) {
  panel.note.hidden = !why;
  panel.note.replaceChildren(...words(`As of the last build, without newer events: ${why}`));
}

function show(panel) {
  const { columns, records } = panel.data;
  const isEmpty = records.length === 0 || (records.length === 1 && panel.kind === "numbers" && columns.every((one) => records[0][one.name] === null));
  if (isEmpty) {
    say(panel, panel.name === "quality_failed" ? "No rule failed." : query ? "Nothing here for these filters." : "No rows yet.");
    return;
  }
  draw(panel.kind, panel.body, panel.title, panel.data);
  panel.width = panel.body.clientWidth;
}

function say(panel, message, hint) {
  panel.body.replaceChildren(make("div", { class: "said" }, make("strong", {}, ...words(message)), make("span", {}, ...words(hint ?? ""))));
}

// Commands stand between backticks.
function words(text) {
  return text.split("`").map((part, n) => (n % 2 ? make("code", {}, part) : part));
}

const freshness = document.getElementById("freshness");

async function askFreshness() {
  const answer = await fetch("/freshness.json", { cache: "no-store" });
  const told = await answer.json();
  freshness.classList.remove("away");
  if (!answer.ok) {
    freshness.textContent = told.message;
    return;
  }
  const ago = (at) => span(Math.max(0, (new Date(told.now) - new Date(at)) / 1000));
  freshness.textContent = told.newest_event_at
    ? `newest event in gold ${moment(told.newest_event_at)} UTC, ${ago(told.newest_event_at)} ago · built ${ago(told.built_at)} ago`
    : "no event yet";
}

async function askAll() {
  const asked = await Promise.allSettled([askFreshness(), ...panels.map(ask)]);
  const failed = asked.find((one) => one.status === "rejected");
  if (failed) {
    freshness.classList.add("away");
    freshness.textContent = "the dashboard does not answer; what you see is from before";
    console.warn(failed.reason);
  }
}

async function goOn() {
  if (!document.hidden) await askAll();
  setTimeout(goOn, refresh * 1000);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) askAll(); });

new ResizeObserver(() => {
  for (const panel of panels) {
    const isChart = panel.data && ["lines", "bars", "heatmap"].includes(panel.kind);
    if (isChart && Math.abs(panel.body.clientWidth - panel.width) > 2) show(panel);
  }
}).observe(document.body);

const filters = document.getElementById("filters");

// What was in use is in use again on the page that comes: who goes by keyboard stays where they were.
const FOCUS = "lakeward-filter";

function apply() {
  if (document.activeElement?.name) sessionStorage.setItem(FOCUS, document.activeElement.name);
  for (const input of filters.elements) if (input.name && !input.value) input.disabled = true;
  filters.submit();
}

filters.addEventListener("change", ({ target }) => {
  const isTyping = target.type === "date" && target.value && target.value < "2000"; // 0002, 0020, ...
  if (!isTyping) apply();
});
filters.elements.namedItem(sessionStorage.getItem(FOCUS) ?? "")?.focus();
sessionStorage.removeItem(FOCUS);
filters.addEventListener("submit", (event) => { event.preventDefault(); apply(); });

const presets = document.getElementById("presets");
if (presets) {
  presets.hidden = false;
  presets.addEventListener("click", ({ target }) => {
    if (!target.dataset.days) return;
    const last = new Date(filters.elements.to.value || Date.now());
    const first = new Date(last.getTime() - (target.dataset.days - 1) * 86400000);
    filters.elements.from.value = first.toISOString().slice(0, 10);
    filters.elements.to.value = last.toISOString().slice(0, 10);
    apply();
  });
}

// After a step back the browser fills the form with what was left in it, disabled or not.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

goOn();
