import type { LiveMessage } from 'holdfast/protocol';
import type { CallerClaims } from './caller.ts';
import type { LiveChannel } from './live-channel.ts';

/** A comment line now and then tells proxies that the line is in use. */
const HEARTBEAT_MS = 15_000;
/** Whoever does not read does not read the end either, and loses the line after this, in milliseconds. */
const CLOSE_MS_MAX = 1_000;

/**
 * The same over Server-Sent Events, for networks that let no WebSocket through: an event of each message's kind, whose id is
 * the cursor, so that `Last-Event-ID` goes on from it.
 */
export function liveEvents(live: LiveChannel, claims: CallerClaims, cursor: string | null): Response {
  const encoder = new TextEncoder();
  let controller: TransformStreamDefaultController<Uint8Array> | undefined;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    start: (own) => {
      controller = own;
    },
  });
  const writer = writable.getWriter();
  const heartbeat = setInterval(() => void writer.write(encoder.encode(': \n\n')).catch(() => undefined), HEARTBEAT_MS);
  const unsubscribe = live.subscribe(claims, cursor, {
    send: (message) => writer.write(encoder.encode(eventOf(message))),
    close: () => {
      clearInterval(heartbeat);
      // an abort of the writer would wait for what is not read
      const cut = setTimeout(() => controller?.error(new Error('The end was not read.')), CLOSE_MS_MAX);
      void writer
        .close()
        .catch(() => undefined)
        .finally(() => clearTimeout(cut));
    },
  });
  // the reader has gone
  writer.closed.catch(() => {
    clearInterval(heartbeat);
    unsubscribe();
  });
  return new Response(readable, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would otherwise hold it back
      'x-accel-buffering': 'no',
    },
  });
}

function eventOf(message: LiveMessage): string {
  const id = 'cursor' in message ? `id: ${message.cursor}\n` : '';
  return `event: ${message.kind}\n${id}data: ${JSON.stringify(message)}\n\n`;
}
