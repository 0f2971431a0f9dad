import type { OpenSocket } from './browser-socket.ts';
import type { Fetch } from '../delivery/http-fetch.ts';

export interface LiveLine {
  readonly url: string;
  readonly token: string;
  readonly cursor: string | null;
  readonly signal: AbortSignal;
}

/** The messages that come over a WebSocket, until it closes, `signal` aborts, or nobody reads any more. */
export async function* readLiveSocket(openSocket: OpenSocket, line: LiveLine): AsyncGenerator<string> {
  const waiting: string[] = [];
  let isClosed = false;
  let wake = (): void => undefined;
  const socket = openSocket(line.url);
  const close = (): void => {
    isClosed = true;
    wake();
  };
  socket.onopen = () => socket.send(JSON.stringify({ kind: 'subscribe', token: line.token, cursor: line.cursor }));
  socket.onmessage = ({ data }) => {
    waiting.push(String(data));
    wake();
  };
  socket.onclose = close;
  socket.onerror = close;
  line.signal.addEventListener('abort', close, { once: true });
  try {
    for (;;) {
      const text = waiting.shift();
      if (text !== undefined) yield text;
      else if (isClosed) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    line.signal.removeEventListener('abort', close);
    socket.onclose = null;
    socket.onerror = null;
    socket.close();
  }
}

/** The same by Server-Sent Events; read through `fetch`, since `EventSource` cannot send a token. */
export async function* readLiveEvents(fetch: Fetch, line: LiveLine): AsyncGenerator<string> {
  const response = await fetch(line.url, {
    headers: {
      accept: 'text/event-stream',
      authorization: `Bearer ${line.token}`,
      ...(line.cursor === null ? {} : { 'last-event-id': line.cursor }),
    },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: line.signal,
  });
  if (!response.ok) {
    // a refusal before the line was open says the same as one over it
    const body = (await response.json()) as { readonly error?: unknown };
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    yield JSON.stringify({
      kind: 'refused',
      error: body.error,
      retryAfterMs: Number.isFinite(seconds) ? seconds * 1_000 : null,
    });
    return;
  }
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true || response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        const data = text
          .slice(0, end)
          .split('\n')
          .filter((row) => row.startsWith('data:'))
          .map((row) => row.slice(5).trimStart())
          .join('\n');
        text = text.slice(end + 2);
        // comments keep the line open, and say nothing
        if (data !== '') yield data;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
