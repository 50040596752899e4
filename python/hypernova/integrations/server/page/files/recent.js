// The last hour's figures drawn: decisions by minute and model, novelty, latencies, errors.
// Not here: the counting; the server's counters hold the figures.

import { bar, brief, byId, count, duration, el, fill, svg, whole, wholePercent } from "./dom.js";

const WIDTH = 610; // ten for each of 60 minutes, and the one that is not over
const HEIGHT = 48;
const LATENCIES = [
  ["answer", "Answer"],
  ["embed", "Embed"],
  ["decide", "Decide"],
];
// The histogram's last bucket is open from here on.
const OPEN_FROM_S = 1;

/** Draw the figures of `/v1/recent`. */
export function showRecent(found) {
  const decisions = sum(found.decisions);
  const errors = sum(found.errors, "requests");
  const minutes = Math.max(Math.round(found.seconds / 60), 1);
  const since = minutes === 60 || minutes === 61 ? "hour" : count(minutes, "minute").replace(/^1 /, "");
  fill(byId("hour-note"), `${count(decisions, "decision")} and ${count(errors, "error")} in the last ${since}. Refreshed every ten seconds.`);
  fill(
    byId("hour-body"),
    card("Decisions a minute", "wide", byMinute(found.minutes)),
    card("Decisions by model", "", byModel(found.decisions, decisions)),
    card("Novelty of the prompts", "", novelty(found.novelty)),
    card("Latency", "", latency(found.latency)),
    card("Errors", "", errorTable(found.errors, found.requests)),
  );
}

/** Say nothing of the last hour. */
export function clearRecent() {
  fill(byId("hour-note"));
  fill(byId("hour-body"));
}

const sum = (entries, field = "decisions") => entries.reduce((total, entry) => total + entry[field], 0);

function card(title, kind, ...content) {
  return el("div", { class: `panel card ${kind}`.trim() }, el("h3", {}, title), content);
}

const none = (text) => el("p", { class: "empty" }, text);

function byMinute(minutes) {
  // A column for each piece of time, as wide as it is long and as high as a minute of it counts.
  const perMinute = (n, seconds) => (60 * n) / Math.max(seconds, 60);
  const highest = Math.max(1, ...minutes.map((one) => perMinute(one.decisions + one.errors, one.seconds)));
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "columns", role: "img",
    "aria-label": `Decisions a minute over the last hour, at most ${whole(highest)}`,
  });
  let end = 0;
  for (const { seconds, decisions, errors } of minutes.toReversed()) {
    const length = Math.max(seconds, 60) / 6; // a minute that is not over takes a minute's room
    const [x, width] = [WIDTH - end - length + 1, length - 2];
    const [ok, failed] = [decisions, errors].map((n) => (perMinute(n, seconds) / highest) * HEIGHT);
    const when = end === 0 ? "this minute" : `${count(Math.round(end / 10), "minute")} ago`;
    picture.append(
      svg("g", {},
        svg("title", {}, `${when}: ${count(decisions, "decision")}, ${count(errors, "error")}`),
        svg("rect", { x, y: 0, width, height: HEIGHT, class: "ground" }),
        svg("rect", { x, y: HEIGHT - ok, width, height: ok, class: "ok" }),
        svg("rect", { x, y: HEIGHT - ok - failed, width, height: failed, class: "failed" }),
      ),
    );
    end += length;
  }
  return [
    picture,
    el("p", { class: "axis note", "aria-hidden": "true" },
      el("span", {}, "an hour ago"), el("span", {}, `highest: ${whole(highest)}`), el("span", {}, "now")),
  ];
}

function byModel(decisions, total) {
  if (total === 0) return none("No decision yet.");
  return el(
    "ol",
    { class: "plain", role: "list" },
    decisions.map(({ model, decisions: n }) =>
      el("li", {},
        el("div", { class: "head" }, el("span", { class: "name" }, model),
          el("span", { class: "figures" }, el("b", {}, whole(n)), el("span", { class: "cost" }, wholePercent(n / total)))),
        bar([[0, n / total, "fill"]])),
    ),
  );
}

function novelty(buckets) {
  const total = sum(buckets);
  if (total === 0) return none("No decision yet.");
  const lows = [0, ...buckets.map((bucket) => bucket.up_to)];
  // Novelty is a share of training prompts, so that each range holds as many of them as it is wide.
  const expected = buckets.map(({ up_to: end }, i) => total * (end - lows[i]));
  const highest = Math.max(...expected, ...buckets.map((bucket) => bucket.decisions));
  const said = buckets
    .map(({ up_to: end, decisions }, i) => [decisions, `${whole(decisions)} from ${brief(lows[i])} to ${brief(end)}`])
    .filter(([n]) => n > 0)
    .map(([, text]) => text);
  const picture = svg("svg", {
    viewBox: `0 0 ${10 * buckets.length} ${HEIGHT}`, preserveAspectRatio: "none", class: "columns tall", role: "img",
    "aria-label": `Decisions by novelty: ${said.join(", ")}`,
  });
  buckets.forEach(({ up_to: end, decisions }, i) => {
    const [x, height, line] = [10 * i + 0.5, (decisions / highest) * HEIGHT, (expected[i] / highest) * HEIGHT];
    const note = `${brief(lows[i])} to ${brief(end)}: ${count(decisions, "decision")}, ${brief(expected[i])} if as in training`;
    picture.append(
      svg("g", {},
        svg("title", {}, note),
        svg("rect", { x, y: 0, width: 9, height: HEIGHT, class: "ground" }),
        svg("rect", { x, y: HEIGHT - height, width: 9, height, class: "ok" }),
        svg("rect", { x: 10 * i, y: HEIGHT - line - 0.5, width: 10, height: 1, class: "expected" })),
    );
  });
  return [
    picture,
    el("p", { class: "axis note", "aria-hidden": "true" },
      el("span", {}, "familiar"), el("span", {}, "novel")),
    el("p", { class: "note" }, el("span", { class: "key mark flat" }), " if prompts were as in training"),
  ];
}

function latency(found) {
  const cell = (seconds) => el("td", {},
    seconds === null ? el("span", { class: "note" }, "none") : seconds >= OPEN_FROM_S ? "over 1 s" : duration(Number(seconds.toPrecision(2))));
  return [
    el("table", {},
      el("thead", {}, el("tr", {},
        [["", "Step"], ["50%", ""], ["90%", ""], ["99%", ""]].map(([text, hidden]) =>
          el("th", { scope: "col" }, text, hidden ? el("span", { class: "hidden" }, hidden) : null)))),
      el("tbody", {}, LATENCIES.map(([name, label]) =>
        el("tr", {}, el("th", { scope: "row" }, label),
          [found[name].p50_s, found[name].p90_s, found[name].p99_s].map(cell))))),
    el("p", { class: "note" }, "Half, 90% and 99% of requests took at most this long, as far as the histograms tell. Answers are those of /v1/route."),
  ];
}

function errorTable(errors, requests) {
  if (errors.length === 0) return none(`None in ${count(requests, "request")}.`);
  return [
    el("table", {},
      el("thead", {}, el("tr", {}, ["Status", "Path", "Requests"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, errors.map(({ path, status, requests: n }) =>
        el("tr", {}, el("th", { scope: "row" }, String(status)), el("td", {}, path), el("td", {}, whole(n)))))),
    el("p", { class: "note" }, `Of ${count(requests, "request")}. "other" is an unknown path, or refused before the path was known.`),
  ];
}
