// Elements whose text is always text, and numbers as people read them.
// Not here: what the page shows (decision.js, recent.js).

const SVG = "http://www.w3.org/2000/svg";
// Characters that no one sees, or that turn the direction of the text around them: a name may hold any.
const UNREADABLE = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Make an element; children are elements or text, and null is left out. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Make an element of an SVG picture. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...shown(children));
  return element;
}

function shown(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null)
    .map((child) => (typeof child === "string" ? child.replace(UNREADABLE, "\ufffd") : child));
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
}

/**
 * Make a horizontal bar of parts, each [from, to, class], on an axis from `low` to `high`.
 * Decoration: the figures stand beside it as text.
 */
export function bar(parts, { low = 0, high = 1, marks = [] } = {}) {
  const place = (value) => Math.min(Math.max((value - low) / (high - low), 0), 1);
  const percentage = (value) => `${(100 * value).toFixed(2)}%`;
  const track = el("span", { class: "bar", "aria-hidden": "true" });
  for (const [from, to, kind] of parts) {
    const part = el("span", { class: kind });
    part.style.insetInlineStart = percentage(place(from));
    part.style.inlineSize = percentage(place(to) - place(from));
    track.append(part);
  }
  for (const [at, kind] of marks) {
    if (at < low || at > high) continue;
    const line = el("span", { class: kind });
    line.style.insetInlineStart = percentage(place(at));
    track.append(line);
  }
  return track;
}

const format = (options) => {
  const made = new Intl.NumberFormat("en", options);
  return (value) => made.format(value);
};

export const whole = format({ maximumFractionDigits: 0 });
export const wholePercent = format({ style: "percent", maximumFractionDigits: 0 });
export const brief = format({ maximumSignificantDigits: 3 });
const plainPercent = format({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const signed = format({ minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
const plainUsd = format({ minimumSignificantDigits: 2, maximumSignificantDigits: 3 });

const withMinus = (text) => text.replace("-", "\u2212");

/** A share in percent: "70.6%". */
export const percent = (share) => withMinus(plainPercent(share));

/** A share as points of a hundred, with its sign. */
export const points = (share) => withMinus(signed(100 * share));

/** US dollars: "$0.0043". */
export function usd(value) {
  if (value === null) return "unknown";
  return value < 1e-6 && value > 0 ? `$${value.toExponential(1)}` : `$${plainUsd(value)}`;
}

/** Seconds in the unit that suits them. */
export function duration(seconds) {
  if (seconds === null) return "unknown";
  if (seconds >= 1 || seconds === 0) return `${brief(seconds)} s`;
  return seconds >= 1e-3 ? `${brief(seconds * 1e3)} ms` : `${brief(seconds * 1e6)} µs`;
}

/** "1 message", "2 messages". */
export const count = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
