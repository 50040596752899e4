// Requests to this server, with the token, and nothing kept.
// Not here: which requests are sent, and when (main.js).

const TIMEOUT_MS = 20_000;

/** The server answered with an error of its own. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** No answer came: the server is stopped, or the network is. */
export class Unreachable extends Error {}

// In this module's memory alone: no storage, no cookie, no history.
let token = null;

export function setToken(value) {
  token = value;
}

/** Ask the server, with a body as JSON or without one. */
export async function ask(path, body) {
  const headers = {};
  if (token !== null) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  let content;
  try {
    answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      mode: "same-origin",
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    content = await answer.text();
  } catch (error) {
    throw new Unreachable(error.message);
  }
  let found;
  try {
    found = JSON.parse(content);
  } catch {
    // Something between the page and the server, such as a proxy, has answered.
    if (answer.ok || answer.status >= 500) throw new Unreachable(`status ${answer.status}`);
    throw new Refused(answer.status, "unknown", `status ${answer.status}`);
  }
  if (!answer.ok) throw new Refused(answer.status, found.error, found.message);
  return found;
}
