// Draws the rows of a panel: shapes in SVG, words in HTML. It computes places, never numbers.

import { axis, change, tick, write } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 230;
const EDGE = { top: 10, right: 8, bottom: 22, left: 46 };
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const STEPS = [60e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3, 864e5, 2 * 864e5, 7 * 864e5, 14 * 864e5, 28 * 864e5, 91 * 864e5];

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

export function draw(kind, body, title, data) {
  const drawers = { numbers, lines, bars, heatmap, funnel, table };
  const had = body.querySelector(":focus")?.className;
  body.replaceChildren();
  drawers[kind](body, { ...data, title });
  if (had) body.getElementsByClassName(had)[0]?.focus(); // drawn anew under somebody's hands
}

// --- numbers ---------------------------------------------------------------------------------

function numbers(body, { columns, records }) {
  const tiles = make("div", { class: "tiles" });
  for (const { name, label, form } of columns) {
    const row = records[0];
    const tile = make("div", { class: "tile", "data-measure": name }, make("span", {}, label));
    const exact = write(row[name], form === "usd" ? "cost" : form);
    tile.append(make("b", { title: exact }, write(row[name], form)));
    const moved = change(row[`${name}_change`]);
    const before = row[`${name}_before`];
    const known = before === null ? "nothing before" : `from ${write(before, form)}`;
    const said = row[`${name}_before_is_full`] ? known : "no full earlier period";
    tile.append(make("span", {}, moved ? make("span", { class: row[`${name}_change`] < 0 ? "down" : "up" }, moved) : "", moved ? ` ${said}` : said));
    tiles.append(tile);
  }
  body.append(tiles);
}

// --- time series -----------------------------------------------------------------------------

function seriesOf({ columns, records }) {
  const [at, ...others] = columns;
  const moments = [...new Set(records.map((row) => row[at.name]))].sort();
  const measures = others.filter((one) => one.form !== "text");
  const split = others.find((one) => one.form === "text");
  const names = split ? [...new Set(records.map((row) => row[split.name]))].sort() : null;
  const points = (rows, measure) => {
    const known = new Map(rows.map((row) => [row[at.name], row[measure.name]]));
    return moments.map((one) => (known.has(one) ? known.get(one) : null));
  };
  const series = names
    ? names.map((name) => ({ label: name, form: measures[0].form, values: points(records.filter((row) => row[split.name] === name), measures[0]) }))
    : measures.map((one) => ({ label: one.label, form: one.form, values: points(records, one) }));
  return { at, moments, times: moments.map((one) => new Date(one).getTime()), series };
}

function niceTop(highest, form) {
  if (highest <= 0) return 1;
  const least = (highest * 0.999) / 4; // between two of the five lines
  const size = 10 ** Math.floor(Math.log10(least));
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((n) => n * size);
  return 4 * steps.find((one) => one >= least && (form !== "count" || one < 1 || Number.isInteger(one)));
}

function frame(body, top, form) {
  const width = Math.max(body.clientWidth, 200);
  const holder = make("div", { class: "chart" });
  body.append(holder);
  const svg = shape(holder, "svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img" });
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  for (let line = 0; line <= 4; line += 1) {
    const value = (top * line) / 4;
    shape(svg, "line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) });
    if (form !== "count" || top >= 4 || Number.isInteger(value)) {
      shape(svg, "text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, axis(value, form));
    }
  }
  return { holder, svg, width, y };
}

function timeAxis(svg, times, x, width) {
  const first = times[0];
  const last = times.at(-1);
  const room = Math.max(2, Math.floor((width - EDGE.left - EDGE.right) / 75));
  const step = STEPS.find((one) => (last - first) / one <= room) ?? STEPS.at(-1);
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    shape(svg, "text", { x: x(at), y: HEIGHT - 5, "text-anchor": "middle" }, tick(at, step));
  }
}

function legend(body, series) {
  if (series.length < 2) return;
  const listed = make("div", { class: "legend" });
  series.forEach((one, index) => listed.append(make("span", { class: `i${index % 7}` }, make("i"), one.label)));
  body.append(listed);
}

// Tells the values of a place, by pointer or by arrow keys; in a grid, row is how many lie side by side.
function hover(drawn, { count, row }, seen, tell, leave) {
  const tip = make("div", { class: "tip", role: "status", hidden: "" });
  let at = null;
  drawn.holder.append(tip);
  drawn.holder.tabIndex = 0;
  drawn.holder.setAttribute("role", "group");
  drawn.holder.setAttribute("aria-label", `${drawn.svg.getAttribute("aria-label")}; arrow keys tell the values`);
  const show = (index) => {
    at = index;
    const { x, words } = tell(index);
    tip.hidden = false;
    tip.replaceChildren(...words);
    const wide = tip.offsetWidth;
    const left = x + wide + 24 > drawn.width ? x - wide - 12 : x + 12;
    tip.style.left = `${Math.max(0, Math.min(left, drawn.width - wide))}px`;
    tip.style.top = `${drawn.svg.offsetTop ?? 0}px`;
  };
  const hide = () => { at = null; tip.hidden = true; leave(); };
  drawn.holder.addEventListener("pointermove", (event) => {
    const box = drawn.svg.getBoundingClientRect();
    const index = seen((event.clientX - box.left) * (drawn.width / box.width), event.clientY - box.top);
    if (index !== null) show(index);
  });
  drawn.holder.addEventListener("pointerleave", hide);
  drawn.holder.addEventListener("blur", hide);
  const moves = {
    ArrowLeft: (n) => n - 1, ArrowRight: (n) => n + 1, Home: () => 0, End: () => count - 1,
    ...(row && { ArrowUp: (n) => n - row, ArrowDown: (n) => n + row }),
  };
  drawn.holder.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const next = at === null && event.key !== "Home" ? count - 1 : move(at ?? 0);
    if (next >= 0 && next < count) show(next);
  });
}

function words(head, series, index) {
  return [make("div", {}, head), ...series.map((one, n) =>
    make("div", { class: `i${n % 7}` }, make("span", {}, make("i"), one.label), make("b", {}, write(one.values[index], one.form))))];
}

function nearest(times, x) {
  return (place) => {
    let best = 0;
    times.forEach((at, index) => { if (Math.abs(x(at) - place) < Math.abs(x(times[best]) - place)) best = index; });
    return best;
  };
}

function lines(body, data) {
  const { at, moments, times, series } = seriesOf(data);
  const top = niceTop(Math.max(0, ...series.flatMap((one) => one.values)), series[0].form);
  legend(body, series);
  const drawn = frame(body, top, series[0].form);
  const length = Math.max(times.at(-1) - times[0], 1);
  const x = (time) => EDGE.left + 8 + ((time - times[0]) / length) * (drawn.width - EDGE.left - EDGE.right - 16);
  timeAxis(drawn.svg, times, x, drawn.width);
  series.forEach((one, number) => {
    const group = shape(drawn.svg, "g", { class: `i${number % 7}` });
    let path = "";
    one.values.forEach((value, index) => {
      if (value === null) return;
      const begins = index === 0 || one.values[index - 1] === null;
      path += `${begins ? "M" : "L"}${x(times[index]).toFixed(1)} ${drawn.y(value).toFixed(1)}`;
      const isAlone = begins && (one.values[index + 1] ?? null) === null;
      if (isAlone) shape(group, "circle", { cx: x(times[index]), cy: drawn.y(value), r: 2.5 });
    });
    shape(group, "path", { d: path });
  });
  drawn.svg.setAttribute("aria-label", `${data.title}: ${series.map((one) => one.label).join(", ")} from ${write(moments[0], at.form)} to ${write(moments.at(-1), at.form)}`);
  const cursor = shape(drawn.svg, "line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
  hover(drawn, { count: times.length }, nearest(times, x), (index) => {
    const place = x(times[index]);
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("visibility", "visible");
    return { x: place, words: words(write(moments[index], at.form), series, index) };
  }, () => cursor.setAttribute("visibility", "hidden"));
}

function bars(body, data) {
  const { at, moments, times, series } = seriesOf(data);
  const [only] = series;
  const drawn = frame(body, niceTop(Math.max(0, ...only.values), only.form), only.form);
  const room = drawn.width - EDGE.left - EDGE.right;
  const gap = times.length > 1 ? Math.min(...times.slice(1).map((time, n) => time - times[n])) : 1;
  const slots = times.length > 1 ? Math.round((times.at(-1) - times[0]) / gap) + 1 : 1;
  const slot = room / slots;
  const x = (time) => EDGE.left + slot * ((time - times[0]) / gap + 0.5);
  timeAxis(drawn.svg, times, x, drawn.width);
  const group = shape(drawn.svg, "g", { class: "i0" });
  const wide = Math.min(slot * 0.72, 46);
  const made = only.values.map((value, index) => shape(group, "rect", {
    class: "bar", x: x(times[index]) - wide / 2, width: wide, rx: Math.min(2, wide / 4),
    y: drawn.y(value ?? 0), height: Math.max(0, HEIGHT - EDGE.bottom - drawn.y(value ?? 0)),
  }));
  drawn.svg.setAttribute("aria-label", `${data.title}: ${only.label} from ${write(moments[0], at.form)} to ${write(moments.at(-1), at.form)}`);
  const off = () => made.forEach((bar) => bar.classList.remove("on"));
  hover(drawn, { count: times.length }, nearest(times, x), (index) => {
    off();
    made[index].classList.add("on");
    return { x: x(times[index]), words: words(write(moments[index], at.form), series, index) };
  }, off);
}

// --- heatmap ---------------------------------------------------------------------------------

function heatmap(body, { title, columns, records }) {
  const [dayColumn, hourColumn, measure] = columns;
  const known = new Map(records.map((row) => [`${row[dayColumn.name]}/${row[hourColumn.name]}`, row[measure.name]]));
  const most = Math.max(...known.values());
  const width = Math.max(body.clientWidth, 200);
  const left = 34;
  const cell = (width - left) / 24;
  const high = 26;
  const height = high * 7 + 22;
  const holder = make("div", { class: "chart" });
  body.append(holder);
  const svg = shape(holder, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${title}: ${measure.label} by day of the week and hour` });
  const cells = [];
  DAYS.forEach((name, row) => {
    shape(svg, "text", { x: 0, y: row * high + high / 2 + 4 }, name);
    for (let hour = 0; hour < 24; hour += 1) {
      const value = known.get(`${row + 1}/${hour}`) ?? 0;
      const place = { x: left + hour * cell + 1, y: row * high + 1, width: Math.max(cell - 2, 1), height: high - 2, rx: 2 };
      shape(svg, "rect", { class: "frame", ...place });
      shape(svg, "rect", { class: "cell", ...place, "fill-opacity": (value / (most || 1)).toFixed(3) });
      cells.push({ name, hour, value, x: place.x + cell });
    }
  });
  for (let hour = 0; hour < 24; hour += 3) {
    shape(svg, "text", { x: left + (hour + 0.5) * cell, y: height - 5, "text-anchor": "middle" }, `${String(hour).padStart(2, "0")}h`);
  }
  hover({ holder, svg, width }, { count: 168, row: 24 }, (x, y) => {
    const row = Math.floor(y / high);
    const hour = Math.floor((x - left) / cell);
    return row >= 0 && row < 7 && hour >= 0 && hour < 24 ? row * 24 + hour : null;
  }, (index) => {
    const { name, hour, value, x } = cells[index];
    const from = `${String(hour).padStart(2, "0")}:00`;
    return { x, words: [make("div", {}, make("span", {}, `${name}, ${from} to ${String(hour + 1).padStart(2, "0")}:00`), make("b", {}, write(value, measure.form)))] };
  }, () => {});
}

// --- funnel ----------------------------------------------------------------------------------

function funnel(body, { columns, records }) {
  const [name, count, ofAll, ofBefore] = columns;
  const steps = make("div", { class: "steps" });
  records.forEach((row, index) => {
    const bar = make("div");
    bar.style.width = `${100 * (row[ofAll.name] ?? 0)}%`;
    const about = index === 0 ? "all visitors" : `${write(row[ofAll.name], "share")} of visitors, ${write(row[ofBefore.name], "share")} of the step before`;
    steps.append(make("div", { class: "step", "data-step": row[name.name] },
      make("div", { class: "names" }, make("span", {}, row[name.name]), make("b", {}, write(row[count.name], count.form))),
      make("div", { class: "bar" }, bar), make("small", {}, about)));
  });
  body.append(steps);
}

// --- table -----------------------------------------------------------------------------------

const isText = (column) => ["text", "day", "moment", "clock"].includes(column.form);

function table(body, { title, columns, records }) {
  const rows = make("tbody");
  const fill = (listed) => rows.replaceChildren(...listed.map((row) => make("tr", {}, ...columns.map((one) =>
    make("td", isText(one) ? {} : { class: "n" }, write(row[one.name], one.form))))));
  const heads = columns.map((one) => {
    const button = make("button", { type: "button" }, one.label);
    const head = make("th", isText(one) ? { scope: "col" } : { scope: "col", class: "n" }, button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const isUp = now ? now === "descending" : isText(one);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      fill([...records].sort((a, b) => order(a[one.name], b[one.name], isUp)));
    });
    return head;
  });
  fill(records);
  body.append(make("div", { class: "rows", tabindex: "0", role: "region", "aria-label": `${title}, ${records.length} rows` }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), rows)));
}

function order(a, b, isUp) {
  if (a === null || b === null) return (a === null) - (b === null);
  const sign = typeof a === "string" ? a.localeCompare(b) : a - b;
  return isUp ? sign : -sign;
}
