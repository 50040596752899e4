// The page's course: token, requests as the reader types and moves, and the poll of the last hour.
// Not here: how answers are drawn (decision.js, recent.js), and the controls (options.js).

import { ask, Refused, setToken, Unreachable } from "./api.js";
import { showExplanation, showNothing, showRefusal } from "./decision.js";
import { byId, count, fill } from "./dom.js";
import { Options } from "./options.js";
import { readPrompt, turnsOf } from "./prompt.js";
import { clearRecent, showRecent } from "./recent.js";

const PAUSE_MS = 120;
const RETRY_MS = 3_000;
const HOUR_MS = 10_000;

const isGuarded = document.documentElement.dataset.token === "required";
const options = new Options(schedule);

let artifact = null;
// Counts the times that the page was opened or locked: an answer to an earlier one is dropped.
let visit = 0;
let pause = 0;
let retry = 0;
let isAsking = false;
let askAgain = false;

byId("prompt").addEventListener("input", schedule);
byId("as-text").addEventListener("change", schedule);
byId("forget").addEventListener("click", () => lock(""));
byId("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  // What no header can hold is no token of a server.
  if (!/^[\x20-\x7e]+$/.test(byId("token").value)) {
    refuseToken("A token is of printable ASCII characters.");
    return;
  }
  setToken(byId("token").value);
  open();
});
document.addEventListener("visibilitychange", pollHour);
setInterval(pollHour, HOUR_MS);

if (isGuarded) lock("");
else open();

/** Ask for the artifact, and show the page if the server gives it. */
async function open() {
  const now = ++visit;
  try {
    const found = await ask("v1/artifact");
    if (now !== visit) return;
    takeArtifact(found);
  } catch (error) {
    if (now !== visit) return;
    if (error instanceof Refused && error.status === 401) {
      setToken(null);
      byId("unlock").hidden = false;
      refuseToken("The server does not accept this token.");
      isReachable(true);
    } else {
      isReachable(false, error);
      retry = setTimeout(open, RETRY_MS);
    }
    return;
  }
  isReachable(true);
  fill(byId("token-error"));
  byId("token").value = "";
  byId("token").removeAttribute("aria-invalid");
  byId("unlock").hidden = true;
  byId("work").hidden = false;
  byId("forget").hidden = !isGuarded;
  byId("prompt").focus();
  schedule();
  pollHour();
}

/** Forget the token and all that was typed and shown. */
function lock(why) {
  visit += 1;
  clearTimeout(retry);
  clearTimeout(pause);
  setToken(null);
  artifact = null;
  byId("prompt").value = "";
  byId("as-text").checked = false;
  options.clear();
  fill(byId("prompt-note"));
  fill(byId("artifact"));
  showNothing();
  clearRecent();
  byId("work").hidden = true;
  byId("forget").hidden = true;
  byId("unlock").hidden = false;
  byId("token").value = "";
  fill(byId("token-error"), why);
  byId("token").focus();
}

function refuseToken(why) {
  fill(byId("token-error"), why);
  byId("token").setAttribute("aria-invalid", "true");
  byId("token").select();
}

function takeArtifact(found) {
  artifact = found;
  options.setArtifact(found);
  fill(
    byId("artifact"),
    `${count(found.models.length, "model")}, ${count(found.clusters, "cluster")}, embedder ${found.embedder}, ` +
      `artifact ${found.sha256.slice(0, 12)}`,
  );
}

/** Say whether the server answers, and mark what is shown as old where it does not. */
function isReachable(is, error = null) {
  const banner = byId("connection");
  document.body.classList.toggle("unreachable", !is);
  if (is === banner.hidden) return;
  banner.hidden = is;
  const why = error instanceof Unreachable ? "" : ` (${error?.message ?? ""})`;
  fill(banner, is ? "" : `The server does not answer${why}. What the page shows may be old. It tries again every few seconds.`);
}

/** Decide soon, once the reader pauses. */
function schedule() {
  if (artifact === null) return;
  clearTimeout(pause);
  pause = setTimeout(decide, PAUSE_MS);
}

/** Ask for the decision on what stands now; one request at a time, the latest state last. */
async function decide() {
  clearTimeout(retry);
  if (isAsking) {
    askAgain = true;
    return;
  }
  const prompt = readPrompt(byId("prompt").value, byId("as-text").checked);
  if (byId("prompt-note").textContent !== (prompt?.note ?? "")) fill(byId("prompt-note"), prompt?.note ?? "");
  byId("as-text-label").hidden = !prompt?.isChat;
  options.setChat(prompt?.messages !== undefined);
  if (prompt === null) {
    showNothing();
    return;
  }
  const sent = options.sent();
  const now = visit;
  isAsking = true;
  try {
    const { text, messages } = prompt;
    const found = await ask("v1/explain", messages === undefined ? { text, ...sent } : { messages, ...sent });
    if (now !== visit) return;
    isReachable(true);
    if (found.decision.artifact !== artifact.sha256) {
      // The server has taken another artifact: its models may be others.
      takeArtifact(await ask("v1/artifact"));
      if (now !== visit) return;
      askAgain = true;
    }
    options.setEstimates(found.estimates);
    showExplanation(found, sent, turnsOf(prompt));
  } catch (error) {
    if (now === visit) onError(error);
  } finally {
    isAsking = false;
    if (askAgain) {
      askAgain = false;
      schedule();
    }
  }
}

function onError(error) {
  if (error instanceof Unreachable) {
    isReachable(false, error);
    retry = setTimeout(decide, RETRY_MS);
    return;
  }
  if (!(error instanceof Refused)) throw error;
  if (error.status === 401) {
    lock("The server no longer accepts the token.");
    return;
  }
  isReachable(true);
  showRefusal(error);
  if (error.status === 503) retry = setTimeout(decide, RETRY_MS);
  // A model that the page names and the server lacks: the artifact was replaced.
  if (error.code === "unknown_model") {
    const now = visit;
    ask("v1/artifact").then((found) => {
      if (now === visit && found.sha256 !== artifact.sha256) {
        takeArtifact(found);
        schedule();
      }
    }, () => {});
  }
}

/** Refresh the last hour's figures while the page is in sight. */
async function pollHour() {
  if (artifact === null || document.hidden) return;
  const now = visit;
  try {
    const found = await ask("v1/recent");
    if (now !== visit) return;
    const wasAway = document.body.classList.contains("unreachable");
    isReachable(true);
    showRecent(found);
    if (wasAway) schedule();
  } catch (error) {
    if (now !== visit) return;
    if (error instanceof Unreachable) isReachable(false, error);
    else if (error.status === 401) lock("The server no longer accepts the token.");
  }
}
