// The prompt that was typed: a text, or a chat in JSON.
// Not here: which turns the server reads; it says so itself, by their lengths.

const TEXT_PARTS = ["text", "input_text"];

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function messagesOf(value) {
  const list = isObject(value) ? (value.messages ?? value.input) : value;
  const isMessage = (entry) =>
    isObject(entry) && (typeof entry.role === "string" || typeof entry.type === "string");
  return Array.isArray(list) && list.length > 0 && list.every(isMessage) ? list : null;
}

/**
 * Read what was typed.
 * Returns {text} or {messages}, and a note for the reader; null if there is nothing.
 */
export function readPrompt(typed, asText) {
  if (typed.trim() === "") return null;
  const looksLikeChat = /^\s*[[{]/.test(typed) && /"(role|messages)"/.test(typed);
  if (!/^\s*[[{]/.test(typed)) return { text: typed, note: "", isChat: false };
  let messages = null;
  let fault = "";
  try {
    messages = messagesOf(JSON.parse(typed));
  } catch (error) {
    fault = error.message;
  }
  if (messages === null) {
    const note = looksLikeChat
      ? `Read as plain text: it is no chat. ${fault || "A chat is a list of messages, each with a role."}`
      : "";
    return { text: typed, note, isChat: false };
  }
  if (asText) return { text: typed, note: "Read as plain text.", isChat: true };
  const ofUser = messages.filter((message) => message.role === "user").length;
  const note =
    `Read as a chat of ${messages.length} message${messages.length === 1 ? "" : "s"}, ` +
    `${ofUser} of the user. The first and the last turn of the user decide.`;
  return { messages, note, isChat: true };
}

/** Return the texts that the server may have read: the prompt, or a chat's first and last turn. */
export function turnsOf({ text, messages }) {
  if (messages === undefined) return [text];
  const turns = messages
    .filter((message) => message.role === "user")
    .map((message) => contentOf(message.content))
    .filter((turn) => turn.trim() !== "");
  if (turns.length === 0) return [];
  const [first, last] = [turns[0], turns[turns.length - 1]];
  return first === last ? [first] : [first, last];
}

function contentOf(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter((part) => isObject(part) && TEXT_PARTS.includes(part.type) && typeof part.text === "string")
    .map((part) => part.text)
    .join("\n");
}
