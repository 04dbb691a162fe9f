// The page's only way to the server: JSON or a file, and one class of error that says whether waiting helps.

/** status 0: the server did not answer at all. code: of the API's closed set. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The JSON at a path under /api/. parameters: [name, value]; empty ones are left out. Throws ApiError, or AbortError. */
export async function get(path, parameters, signal) {
  const response = await ask(path, parameters, signal);
  return response.json().catch(() => ({}));
}

/** The text of a file at a path under /api/, and the head that it came with. Throws ApiError. */
export async function getFile(path, parameters) {
  const response = await ask(path, parameters);
  return { text: await response.text(), head: response.headers };
}

async function ask(path, parameters, signal) {
  const query = new URLSearchParams(parameters.filter(([, value]) => value !== ""));
  return answer(`api/${path}?${query}`, { signal, headers: { accept: "application/json" } });
}

/** What the server answers to what somebody says. Throws ApiError. */
export async function post(path, said) {
  const headers = { accept: "application/json", "content-type": "application/json" };
  const response = await answer(`api/${path}`, { method: "POST", headers, body: JSON.stringify(said) });
  return response.json();
}

async function answer(address, request) {
  let response;
  try {
    response = await fetch(address, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "page_unreachable", "The page's own server does not answer. Is `keeprate page` still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const { code = "failed", message = `HTTP ${response.status}` } = body.error ?? {};
  // The session is over: whoever logs in again comes back to where they were.
  if (response.status === 401) location.assign(`login?next=${encodeURIComponent(`/${location.pathname.split("/").at(-1)}${location.search}`)}`);
  throw new ApiError(response.status, code, message);
}
