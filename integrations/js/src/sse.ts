/** Server-sent events from a stream, as the HTML standard parses them. EventSource can send no headers, and Node has none. */

/** Most characters of one message; a manifest has some thousands. */
const LONGEST = 4 << 20;

export interface Message {
  event: string;
  data: string;
}

export async function* messages(stream: ReadableStream<Uint8Array>): AsyncGenerator<Message | "alive"> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let half = false;
  let message: Message = { event: "message", data: "" };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield "alive";
      const text = decoder.decode(value, { stream: true });
      if (!text) continue;
      // A CR ends a line at once; should it have been half of a CRLF, the other half ends no other.
      rest += half && text.startsWith("\n") ? text.slice(1) : text;
      half = text.endsWith("\r");
      const lines = rest.split(/\r\n|\n|\r/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (message.data) yield { ...message, data: message.data.slice(0, -1) };
          message = { event: "message", data: "" };
        } else {
          const [, field, content] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
          if (field === "data") message.data += `${content ?? ""}\n`;
          if (field === "event") message.event = content ?? "";
        }
      }
      if (rest.length + message.data.length > LONGEST) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
