// An explanation drawn: the decision, the ranking, the nearest clusters, the text that was read.
// Not here: the request that it answers (main.js), and any rule: the server says who was chosen.

import { bar, brief, byId, count, duration, el, fill, percent, points, usd, whole, wholePercent } from "./dom.js";

const SHOWN_MODELS = 8;
// Characters shown of each end of a part of a text.
const SHOWN_CHARACTERS = 240;

const REASONS = new Map(
  [...byId("reasons").children].map((entry) => [entry.dataset.reason, entry.textContent]),
);

let showsAll = false;
let lastModel = null;
let lastAnnounced = "";

byId("more").addEventListener("click", () => {
  showsAll = !showsAll;
  limitRanking();
});

/** Say that there is nothing to decide. */
export function showNothing() {
  lastModel = null;
  lastAnnounced = "";
  fill(byId("decision-body"), el("p", { class: "empty" }, "Type a prompt: the decision appears here as you type."));
  fill(byId("announce"));
  showNoGrounds();
}

function showNoGrounds() {
  for (const id of ["ranking", "clusters", "read"]) fill(byId(id));
  byId("grounds").hidden = true;
}

/** Show why the server decides nothing. */
export function showRefusal({ code, message }) {
  lastModel = null;
  const titles = {
    no_candidate: "No model is left",
    novel_prompt: "Refused as novel",
    too_large: "Too long",
    overloaded: "The server has too much to do",
    timeout: "The server took too long",
  };
  const title = titles[code] ?? "No decision";
  fill(byId("decision-body"), el("p", { class: "chosen" }, title), el("p", { class: "error" }, sentence(message)));
  showNoGrounds();
  announce(`${title}. ${sentence(message)}`);
}

/** Draw an explanation; `sent` are the options of its request, `turns` the texts that it may tell of. */
export function showExplanation(found, sent, turns) {
  showDecision(found);
  showRanking(found, sent);
  showClusters(found);
  showRead(found.texts, turns);
  byId("grounds").hidden = false;
}

function announce(text) {
  if (text === lastAnnounced) return;
  lastAnnounced = text;
  fill(byId("announce"), text);
}

function showDecision({ decision, default_model, novel, novelty_limit, estimates }) {
  const chosen = decision.ranking[0];
  const because = REASONS.get(decision.reason) ?? decision.reason;
  const before = lastModel !== null && lastModel !== decision.model ? lastModel : null;
  const changed = before !== null;
  lastModel = decision.model;
  const facts = [
    ["Success", percent(chosen.success)],
    ["Cost", usd(chosen.cost_usd)],
    chosen.latency_s === null ? null : ["Latency", duration(chosen.latency_s)],
    decision.propensity < 1 ? ["Drawn with", wholePercent(decision.propensity)] : null,
    ["Novelty", brief(decision.novelty), `${novel ? "novel:" : "novel if"} above ${brief(novelty_limit)}`],
  ].filter((fact) => fact !== null);
  fill(
    byId("decision-body"),
    el(
      "p",
      { class: changed ? "chosen changed" : "chosen" },
      decision.model,
      decision.model === default_model ? el("span", { class: "tag" }, "default model") : null,
    ),
    el("p", { class: "because" }, `${sentence(because)} `, el("code", {}, decision.reason)),
    el(
      "dl",
      { class: "facts" },
      facts.map(([name, value, note]) =>
        el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("span", { class: "note" }, ` ${note}`) : null)),
      ),
    ),
    decision.reason === "constrained" && estimates[0].model !== decision.model
      ? el("p", { class: "note" }, "The first choice was ", el("b", {}, estimates[0].model), ".")
      : null,
    changed ? el("p", { class: "note before" }, "Before the last change: ", el("b", {}, before)) : null,
    decision.unknown_group
      ? el("p", { class: "note" }, "The artifact does not hold the group that was named.")
      : decision.group === null
        ? null
        : el("p", { class: "note" }, "The profile of the group ", el("b", {}, decision.group), " decides."),
  );
  announce(
    `Decision: ${decision.model}. ${sentence(because)} Success ${percent(chosen.success)}, cost ${usd(chosen.cost_usd)}.`,
  );
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function showRanking(found, sent) {
  const { decision, estimates, default_model: base } = found;
  const byModel = new Map(estimates.map((entry) => [entry.model, entry]));
  const ranked = decision.ranking.map((entry) => byModel.get(entry.model));
  const others = estimates.filter((entry) => !ranked.includes(entry));
  const baseUtility = byModel.get(base).utility;
  const weighted = estimates.some((entry) => entry.utility !== entry.success);
  // Weighted cost may exceed success: the axis then begins at the lowest utility.
  const low = Math.min(0, ...ranked.map((entry) => entry.utility));
  const key = (kind, text) => el("span", {}, el("span", { class: `key ${kind}` }), ` ${text}`);
  fill(
    byId("ranking-note"),
    key("fill", weighted ? "utility" : "success estimate"),
    weighted ? key("taken", "taken off by cost and latency") : null,
    low < 0 ? key("debt", "utility below zero") : null,
    key("mark", "needed to go before the default model"),
  );
  fill(
    byId("ranking"),
    [...ranked, ...others].map((entry, i) => {
      const marks = low < 0 ? [[0, "zero"]] : [];
      if (entry.model !== base && entry.candidate) marks.push([baseUtility + entry.bound, "mark"]);
      return el(
        "li",
        { class: [i === 0 ? "first" : "", entry.candidate ? "" : "out"].join(" ").trim() || null },
        el(
          "div",
          { class: "head" },
          el("span", { class: "name" }, entry.model, entry.model === base ? el("span", { class: "tag" }, "default") : null),
          el(
            "span",
            { class: "figures" },
            el("span", { class: "hidden" }, "success "), el("b", {}, percent(entry.success)),
            el("span", { class: "hidden" }, ", cost "), el("span", { class: "cost" }, usd(entry.cost_usd)),
            entry.latency_s === null
              ? null
              : [el("span", { class: "hidden" }, ", latency "), el("span", { class: "cost" }, duration(entry.latency_s))],
          ),
        ),
        bar(
          [
            [Math.max(entry.utility, 0), entry.success, "taken"],
            [Math.min(entry.utility, 0), Math.max(entry.utility, 0), entry.utility < 0 ? "debt" : "fill"],
          ],
          { low, marks },
        ),
        el("p", { class: "why" }, why(entry, found, sent)),
        el("p", { class: "note" }, parts(entry, found.novel, weighted)),
      );
    }),
  );
  byId("ranking-columns").lastElementChild.hidden = estimates.every((entry) => entry.latency_s === null);
  limitRanking();
}

function limitRanking() {
  const rows = [...byId("ranking").children];
  const rest = rows.length - SHOWN_MODELS;
  // One more row takes no more room than the button.
  const limits = rest > 1;
  rows.forEach((row, i) => {
    row.hidden = limits && !showsAll && i >= SHOWN_MODELS;
  });
  const more = byId("more");
  more.hidden = !limits;
  more.setAttribute("aria-expanded", String(showsAll));
  fill(more, showsAll ? "Show fewer" : `Show ${count(rest, "more model")}`);
}

function why(entry, { decision, default_model }, sent) {
  if (!entry.candidate) return excluded(entry, sent);
  const isFirst = entry.model === decision.model;
  if (isFirst && decision.reason !== "routed") return sentence(REASONS.get(decision.reason) ?? decision.reason);
  if (entry.model === default_model) return "The others have to beat it.";
  const needed = entry.bound > 0 ? `; needed more than ${points(entry.bound)}` : "";
  if (entry.proven) return `${isFirst ? "Chosen: " : ""}${points(entry.gain)} points over the default model${needed}.`;
  if (entry.gain > 0) return `Not enough: ${points(entry.gain)} points over the default model${needed}.`;
  return entry.gain === 0 ? "Level with the default model." : `${points(entry.gain)} points against the default model.`;
}

function excluded(entry, sent) {
  if (sent.allow !== undefined && !sent.allow.includes(entry.model)) return "Left out: not among the allowed models.";
  if (typeof sent.max_cost_usd === "number") {
    if (entry.cost_usd === null) return "Left out: its cost is unknown, and there is a limit.";
    if (entry.cost_usd > sent.max_cost_usd) return `Left out: it costs more than ${usd(sent.max_cost_usd)}.`;
  }
  if (sent.min_success !== undefined && entry.success < sent.min_success)
    return `Left out: its success is below ${wholePercent(sent.min_success)}.`;
  return "Left out: beyond the limits.";
}

function parts(entry, novel, weighted) {
  const where = novel ? "over the whole table" : "for prompts like it";
  const corrected = entry.correction === 0 ? "" : `, ${points(entry.correction)} for this one`;
  const utility = weighted ? `; utility ${percent(entry.utility)}` : "";
  return `${percent(entry.profile)} ${where}${corrected}${utility}; ${outcomes(entry.n)}`;
}

const outcomes = (n) => (n > 0 && n < 1 ? "less than 1 outcome" : count(Math.round(n), "outcome"));

function showClusters({ clusters, novel, decision }) {
  const hasWords = clusters.some((near) => near.words.length > 0);
  fill(
    byId("clusters-note"),
    hasWords ? null : "The artifact holds no words of its clusters. ",
    novel
      ? "The prompt is unlike the training prompts: the whole table decides, and no cluster counts."
      : decision.group === null
        ? "The estimates are means over the clusters that count, by their shares."
        : "The group's own profile decides; the clusters say which prompts are near.",
  );
  fill(
    byId("clusters"),
    clusters.map((near) =>
      el(
        "li",
        { class: near.share > 0 ? null : "out" },
        el(
          "div",
          { class: "head" },
          el("span", { class: "name" }, `Cluster ${near.cluster}`),
          el("span", { class: "note" }, `distance ${near.distance.toFixed(3)}, ${outcomes(near.tasks)}, share `,
            el("b", {}, wholePercent(near.share))),
        ),
        near.share > 0 ? bar([[0, near.share, "fill"]]) : null,
        near.words.length === 0
          ? null
          : el("p", { class: "words" }, near.words.flatMap((word) => [el("span", {}, word), " "])),
      ),
    ),
  );
}

function showRead(texts, turns) {
  // The server names places alone; a text of another length is not the one that it read.
  const known = texts.map(({ characters }, i) => {
    const letters = turns.length === texts.length ? [...turns[i]] : [];
    return letters.length === characters ? letters : null;
  });
  fill(
    byId("read"),
    texts.flatMap(({ characters, read }, i) => {
      const title = texts.length === 1 ? "The prompt" : i === 0 ? "First turn of the user" : "Last turn of the user";
      const kept = read.reduce((sum, [start, end]) => sum + end - start, 0);
      const said =
        kept === characters
          ? `all of ${count(characters, "character")}`
          : `${whole(kept)} of ${count(characters, "character")}; the rest is cut`;
      return [
        el("h3", {}, `${title} `, el("span", { class: "note" }, said)),
        known[i] === null ? spans(read) : el("div", { class: "text" }, pieces(known[i], read)),
      ];
    }),
  );
}

function spans(read) {
  return el("p", { class: "note" }, `Read: ${read.map(([start, end]) => `characters ${whole(start)} to ${whole(end)}`).join(" and ") || "nothing"}.`);
}

function pieces(letters, read) {
  const found = [];
  let at = 0;
  for (const [start, end] of [...read, [letters.length, letters.length]]) {
    if (start > at) found.push(el("del", {}, el("span", { class: "hidden" }, " [not read: "), shortened(letters.slice(at, start)), el("span", { class: "hidden" }, "] ")));
    if (end > start) found.push(el("span", {}, shortened(letters.slice(start, end))));
    at = end;
  }
  return found;
}

function shortened(letters) {
  if (letters.length <= 2 * SHOWN_CHARACTERS + 40) return [letters.join("")];
  const left = letters.length - 2 * SHOWN_CHARACTERS;
  return [
    letters.slice(0, SHOWN_CHARACTERS).join(""),
    el("span", { class: "skipped" }, ` ... ${whole(left)} characters ... `),
    letters.slice(-SHOWN_CHARACTERS).join(""),
  ];
}
