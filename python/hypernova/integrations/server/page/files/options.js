// The controls of the route options: what they are set to, and what a request says of it.
// Not here: the request (main.js). A control at the artifact's own value says nothing.

import { byId, count, duration, el, fill, percent, usd, wholePercent } from "./dom.js";

const STEPS = 200;
// A slider of a weight spans as many powers of ten, besides zero.
const DECADES = 4;

const twoDigits = (value) => Number(value.toPrecision(2));

/** A scale from zero over powers of ten up to `top`. */
const upwards = (top) => ({
  value: (at) => (at === 0 ? 0 : twoDigits(top * 10 ** (DECADES * (at / STEPS - 1)))),
  at: (value) =>
    value <= 0 ? 0 : Math.max(1, Math.min(STEPS, Math.round(STEPS * (1 + Math.log10(value / top) / DECADES)))),
});

/** A scale of powers of ten from `low` to `high`, and no limit at its end. */
const limited = (low, high) => {
  const span = Math.max(Math.log10(high / low), 0.1);
  return {
    value: (at) => (at >= STEPS ? null : twoDigits(low * 10 ** ((at / (STEPS - 1)) * span))),
    at: (value) =>
      value === null ? STEPS : Math.max(0, Math.min(STEPS - 1, Math.round(((STEPS - 1) * Math.log10(Math.max(value, low) / low)) / span))),
  };
};

const shares = { value: (at) => at / STEPS, at: (value) => Math.round(value * STEPS) };

const DIALS = [
  {
    name: "cost_weight",
    label: "Cost weight",
    unit: "success per USD",
    scale: upwards(1000),
    say: (value) =>
      value === 0 ? "cost does not count" : `a point of success is worth ${usd(0.01 / value)}`,
  },
  {
    name: "latency_weight",
    label: "Latency weight",
    unit: "success per second",
    scale: upwards(1),
    say: (value) =>
      value === 0 ? "latency does not count" : `a point of success is worth ${duration(0.01 / value)}`,
  },
  {
    name: "max_cost_usd",
    label: "Highest cost",
    unit: "USD of a task",
    scale: limited(1e-4, 1),
    empty: "no limit",
    say: (value) => (value === null ? "no limit" : `at most ${usd(value)}`),
  },
  {
    name: "min_success",
    label: "Lowest success",
    unit: "estimate, 0 to 1",
    scale: shares,
    max: 1,
    say: (value) => (value === 0 ? "no limit" : `at least ${wholePercent(value)}`),
  },
];

// Shown where a chat is with a model.
const SWITCH = {
  name: "switch_cost",
  label: "Cost of a switch",
  unit: "success that another model must gain",
  scale: { value: (at) => (at / STEPS) * 0.5, at: (value) => Math.min(Math.round((value / 0.5) * STEPS), STEPS) },
  say: (value) => (value === 0 ? "a switch is free" : `another model must gain ${percent(value)}`),
};

/** A slider and a field for one number. */
class Dial {
  constructor(spec, onChange) {
    this.spec = spec;
    this.scale = spec.scale;
    this.own = spec.empty === undefined ? 0 : null;
    this.value = this.own;
    const id = `dial-${spec.name.replaceAll("_", "-")}`;
    this.slider = el("input", {
      type: "range", min: 0, max: STEPS, step: 1, id, autocomplete: "off", "aria-describedby": `${id}-says`,
    });
    this.field = el("input", {
      type: "number", min: 0, max: spec.max ?? 1e12, step: "any", inputmode: "decimal", autocomplete: "off",
      placeholder: spec.empty ?? "0", id: `${id}-exact`,
      "aria-label": `${spec.label}, ${spec.unit}`, title: spec.unit,
    });
    this.says = el("span", { class: "note", id: `${id}-says` });
    this.element = el(
      "div",
      { class: "dial" },
      el("label", { for: id }, spec.label),
      this.field,
      this.slider,
      this.says,
    );
    this.slider.addEventListener("input", () => {
      this.show(this.scale.value(this.slider.valueAsNumber), this.slider);
      onChange();
    });
    this.field.addEventListener("input", () => {
      if (!this.field.checkValidity()) {
        this.field.setAttribute("aria-invalid", "true");
        return;
      }
      const typed = this.field.value === "" ? (spec.empty === undefined ? 0 : null) : this.field.valueAsNumber;
      this.show(typed, this.field);
      onChange();
    });
    this.field.addEventListener("focus", () => this.field.select());
    this.field.addEventListener("blur", () => this.show(this.value, null));
  }

  /** Show a value, in all places but the one that it comes from. */
  show(value, from) {
    this.value = value;
    if (from !== this.slider) this.slider.value = String(this.scale.at(value));
    if (from !== this.field) this.field.value = value === null ? "" : String(value);
    this.field.removeAttribute("aria-invalid");
    const said = this.spec.say(value);
    this.slider.setAttribute("aria-valuetext", said);
    fill(this.says, said);
    this.element.classList.toggle("changed", this.isChanged);
  }

  get isChanged() {
    return this.value !== this.own;
  }

  setScale(scale) {
    this.scale = scale;
    // A thumb that is being moved stays under the finger.
    if (document.activeElement !== this.slider) this.slider.value = String(scale.at(this.value));
  }

  /** What a request says of it: "inf" lifts the artifact's own limit. */
  get sent() {
    return this.value === null ? "inf" : this.value;
  }
}

export class Options {
  constructor(onChange) {
    this.changed = () => {
      byId("switch").hidden = byId("previous").value === "";
      this.countAllowed();
      byId("reset").disabled = !this.isChanged;
      onChange();
    };
    this.dials = DIALS.map((spec) => new Dial(spec, this.changed));
    fill(byId("dials"), ...this.dials.map((dial) => dial.element));
    this.switch = new Dial(SWITCH, this.changed);
    this.dials.push(this.switch);
    byId("switch").append(this.switch.element);
    this.boxes = new Map();
    this.scaled = false;
    for (const id of ["group", "on-novel", "previous"]) byId(id).addEventListener("change", this.changed);
    byId("reset").addEventListener("click", () => {
      this.reset();
      byId("prompt").focus(); // the button is disabled now
      this.changed();
    });
    byId("allow-all").addEventListener("click", () => this.allow(true));
    byId("allow-none").addEventListener("click", () => this.allow(false));
    byId("options").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Take an artifact's models, groups and defaults; settings that still have a meaning stay. */
  setArtifact(artifact) {
    const refused = new Set([...this.boxes].filter(([, box]) => !box.checked).map(([name]) => name));
    this.boxes = new Map(
      artifact.models.map((model) => [model, el("input", { type: "checkbox", autocomplete: "off" })]),
    );
    for (const [model, box] of this.boxes) {
      box.checked = !refused.has(model);
      box.addEventListener("change", this.changed);
    }
    fill(
      byId("model-list"),
      ...[...this.boxes].map(([model, box]) =>
        el("label", { class: "check" }, box, el("span", {}, model,
          model === artifact.default_model ? el("span", { class: "note" }, " default") : null)),
      ),
    );
    for (const dial of this.dials) {
      const stays = dial.isChanged;
      dial.own = artifact.policy[dial.spec.name] ?? (dial.spec.empty === undefined ? 0 : null);
      dial.show(stays ? dial.value : dial.own, null);
    }
    const groups = Object.keys(artifact.groups).sort();
    byId("group-field").hidden = groups.length === 0;
    choose(byId("group"), "not named", groups);
    choose(byId("previous"), "no model yet", artifact.models);
    this.scaled = false;
    this.countAllowed();
  }

  /** Fit the sliders to the costs and latencies of a first explanation. */
  setEstimates(estimates) {
    const known = (name) => estimates.map((entry) => entry[name]).filter((value) => value !== null);
    const [costs, latencies] = [known("cost_usd"), known("latency_s")];
    for (const dial of this.dials) {
      const { name } = dial.spec;
      if (name === "latency_weight") dial.element.hidden = latencies.length === 0;
      if (this.scaled) continue;
      if (name === "cost_weight" && costs.length > 1) dial.setScale(upwards(topWeight(costs)));
      if (name === "latency_weight" && latencies.length > 1) dial.setScale(upwards(topWeight(latencies)));
      const high = Math.max(0, ...costs);
      if (name === "max_cost_usd" && high > 0) {
        const low = Math.max(Math.min(...costs.filter((cost) => cost > 0)), high / 1e4);
        dial.setScale(limited(low / 2, high * 2));
      }
    }
    this.scaled = true;
  }

  /** Show the controls that a chat alone has. */
  setChat(isChat) {
    byId("chat").hidden = !isChat;
  }

  get isChanged() {
    return (
      this.dials.some((dial) => dial.isChanged) ||
      [...this.boxes.values()].some((box) => !box.checked) ||
      ["group", "on-novel", "previous"].some((id) => byId(id).value !== "")
    );
  }

  /** Return the fields of a request for what differs from the artifact's defaults. */
  sent() {
    const found = {};
    for (const dial of this.dials) {
      if (dial.isChanged && dial.element.closest("[hidden]") === null) found[dial.spec.name] = dial.sent;
    }
    const allowed = [...this.boxes].filter(([, box]) => box.checked).map(([model]) => model);
    if (allowed.length < this.boxes.size) found.allow = allowed;
    for (const [id, name] of [["group", "group"], ["on-novel", "on_novel"], ["previous", "previous_model"]]) {
      const field = byId(id);
      if (field.value !== "" && field.closest("[hidden]") === null) found[name] = field.value;
    }
    return found;
  }

  reset() {
    for (const dial of this.dials) dial.show(dial.own, null);
    for (const box of this.boxes.values()) box.checked = true;
    for (const id of ["group", "on-novel", "previous"]) byId(id).value = "";
    byId("switch").hidden = true;
  }

  /** Forget the artifact. */
  clear() {
    this.setArtifact({ models: [], groups: {}, policy: {} });
    this.reset();
  }

  allow(all) {
    for (const box of this.boxes.values()) box.checked = all;
    this.changed();
  }

  countAllowed() {
    const allowed = [...this.boxes.values()].filter((box) => box.checked).length;
    fill(byId("allowed-count"),
      allowed === this.boxes.size ? `all ${allowed}` : `${allowed} of ${count(this.boxes.size, "model")}`);
  }
}

/** The weight at which the widest difference counts as much as two successes: one digit. */
function topWeight(values) {
  const spread = Math.max(...values) - Math.min(...values);
  return Number((2 / Math.max(spread, 1e-9)).toPrecision(1));
}

function choose(select, none, values) {
  const chosen = select.value;
  fill(select, el("option", { value: "" }, none), ...values.map((value) => el("option", { value }, value)));
  if (values.includes(chosen)) select.value = chosen;
}

