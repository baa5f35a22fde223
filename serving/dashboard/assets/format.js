// Values as a person reads them. Times are UTC, as everywhere in the lake.

const number = (options) => new Intl.NumberFormat("en-US", options);
const whole = number({ maximumFractionDigits: 0 });
const short = number({ notation: "compact", maximumFractionDigits: 1 });
const any = number({ maximumFractionDigits: 2 });
const usd = number({ style: "currency", currency: "USD", maximumFractionDigits: 0 });
const usdShort = number({ style: "currency", currency: "USD", notation: "compact", maximumFractionDigits: 1 });
const cost = number({ style: "currency", currency: "USD", minimumFractionDigits: 4, maximumFractionDigits: 4 });
const percent = number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const time = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const clock = time({ hour: "2-digit", minute: "2-digit" });
const dayShort = time({ day: "numeric", month: "short" });
const dayAndYear = time({ day: "numeric", month: "short", year: "numeric" });
const day = time({ weekday: "short", day: "numeric", month: "short", year: "numeric" });

export const NOTHING = "–";

export function write(value, form) {
  if (value === null || value === undefined) return NOTHING;
  switch (form) {
    case "count": return whole.format(value);
    case "number": return any.format(value);
    case "usd": return usd.format(value);
    case "cost": return cost.format(value);
    case "share": return percent.format(value);
    case "day": return day.format(new Date(value));
    case "moment": return moment(value);
    case "clock": return clock.format(new Date(value));
    case "seconds": return span(value);
    default: return String(value);
  }
}

export const axis = (value, form) => (form === "usd" || form === "cost" ? usdShort : short).format(value);

export const isMidnight = (value) => new Date(value).getTime() % 86400000 === 0;

export function tick(value, step) {
  return step >= 86400000 || isMidnight(value) ? dayShort.format(value) : clock.format(value);
}

export function moment(value) {
  const when = new Date(value);
  const isThisYear = when.getUTCFullYear() === new Date().getUTCFullYear();
  return `${(isThisYear ? dayShort : dayAndYear).format(when)}, ${clock.format(when)}`;
}

export function span(seconds) {
  if (seconds < 1) return `${any.format(seconds)} s`;
  if (seconds < 120) return `${whole.format(seconds)} s`;
  if (seconds < 7200) return `${whole.format(seconds / 60)} min`;
  if (seconds < 172800) return `${any.format(Math.round(seconds / 360) / 10)} h`;
  return `${whole.format(seconds / 86400)} days`;
}

export function change(value) {
  if (value === null || value === undefined) return "";
  return `${value < 0 ? "▼" : "▲"} ${percent.format(Math.abs(value))}`;
}
