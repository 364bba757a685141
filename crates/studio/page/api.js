// Requests to the server. Errors have the server's reason.

async function answer(response) {
  if (response.ok) return response;
  let reason = response.statusText;
  try {
    reason = (await response.json()).reason ?? reason;
  } catch {
    // The body is not JSON; the status remains.
  }
  throw new Error(reason);
}

// A browser's own error would be in the browser's language, and says less.
async function send(path, request) {
  try {
    return await fetch(path, request);
  } catch (problem) {
    throw problem.name === "AbortError" ? problem : new Error("the server does not respond; is `pfgm studio` still running?");
  }
}

export const get = async (path) => (await answer(await send(path))).json();

const body = (request, signal) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request), signal });

export const post = async (path, request, signal) => (await answer(await send(path, body(request, signal)))).json();

export const points = async (name, count) => (await get(`/api/v1/points?name=${encodeURIComponent(name)}&count=${count}`)).points;

// Yields the server-sent events of a request.
export async function* events(path, request, signal) {
  const response = await answer(await send(path, body(request, signal)));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
  }
}

function parse(text) {
  let [name, data] = ["message", ""];
  for (const line of text.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  return data ? { name, data: JSON.parse(data) } : null;
}
