// Faults of what the page shows: controls without a name, text without contrast, broken references.
// Returned as lines of text. Not here: the order of the focus, which needs a real keyboard.

const faults = [];
const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: false });
const isForReadersAlone = (element) => element.closest(".hidden, .skip:not(:focus)") !== null;
const describe = (element) => `<${element.localName} id="${element.id}" class="${element.getAttribute("class") ?? ""}">`;

// Names: of a label, of aria-label, of the text of a button.
for (const element of document.querySelectorAll("button, input, select, textarea, a[href], [role=img]")) {
  if (!isShown(element)) continue;
  const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(" ");
  const referred = (element.getAttribute("aria-labelledby") ?? "")
    .split(/\s+/)
    .map((id) => document.getElementById(id)?.textContent ?? "")
    .join(" ");
  const own = ["button", "a"].includes(element.localName) ? element.textContent : "";
  if (![element.getAttribute("aria-label") ?? "", referred, labels, own].some((name) => name.trim())) {
    faults.push(`no name: ${describe(element)}`);
  }
}

// References lead somewhere, ids stand once, and headings skip no level.
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`id twice: ${id}`);
for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
  for (const element of document.querySelectorAll(`[${name}]`)) {
    for (const id of element.getAttribute(name).split(/\s+/)) {
      if (!ids.includes(id)) faults.push(`${name} leads nowhere: ${id} of ${describe(element)}`);
    }
  }
}
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  if (!isShown(heading)) continue;
  const next = Number(heading.localName[1]);
  if (next > level + 1) faults.push(`a heading skips a level: ${describe(heading)}`);
  level = next;
}
if (!document.documentElement.lang) faults.push("no language");
if (document.querySelectorAll("main").length !== 1) faults.push("not one main");

// Contrast: WCAG's ratio of each text with what lies under it, colours blended as they are drawn.
function channels(colour) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
function ground(element) {
  const layers = [];
  for (let at = element; at !== null; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour[3] > 0) layers.push(colour);
    if (colour[3] === 1) break;
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return layers.reduceRight((under, layer) => over(layer, under), dark ? [0, 0, 0] : [255, 255, 255]);
}
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}
function opacity(element) {
  let found = 1;
  for (let at = element; at !== null; at = at.parentElement) found *= Number(getComputedStyle(at).opacity);
  return found;
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const looked = new Set();
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (texts.currentNode.data.trim() === "" || looked.has(element)) continue;
  looked.add(element);
  if (!isShown(element) || isForReadersAlone(element) || element.closest("svg, :disabled, option")) continue;
  const style = getComputedStyle(element);
  const under = ground(element);
  const [r, g, b, a] = channels(style.color);
  const seen = over([r, g, b, a * opacity(element)], under);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const needed = isLarge ? 3 : 4.5;
  const found = ratio(seen, under);
  if (found < needed) {
    faults.push(`contrast ${found.toFixed(2)} under ${needed}: ${describe(element)} ${texts.currentNode.data.trim().slice(0, 30)}`);
  }
}
// The edges of controls, and the bars, stand out from their ground as well.
for (const element of document.querySelectorAll("input:not([type=range], [type=checkbox]), textarea, select, button:not(:disabled), .bar > .fill")) {
  if (!isShown(element) || element.getBoundingClientRect().width < 1) continue;
  const style = getComputedStyle(element);
  const isBar = element.classList.contains("fill");
  const edge = channels(isBar ? style.backgroundColor : style.borderTopColor);
  const found = ratio(over(edge, ground(element.parentElement)), ground(element.parentElement));
  if (found < 3) faults.push(`contrast ${found.toFixed(2)} under 3: edge of ${describe(element)}`);
}

// A finger finds each control: 24 pixels, or as much room around it.
for (const element of document.querySelectorAll("button, select, textarea, input, label.check")) {
  if (!isShown(element) || (element.type === "checkbox" && element.closest("label.check"))) continue;
  const { width, height } = element.getBoundingClientRect();
  if (Math.min(width, height) < 24) faults.push(`small, ${width.toFixed(0)} x ${height.toFixed(0)}: ${describe(element)}`);
}
return faults;
