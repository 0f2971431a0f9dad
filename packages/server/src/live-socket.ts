import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { LiveMessage } from 'holdfast/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { TokenVerifier } from './auth.ts';
import { type LiveChannel, type LiveSink, refusedMessage, serverIsClosing } from './live-channel.ts';
import { Refusal, refusalOf } from './refusal.ts';

export interface LiveSocketOptions {
  readonly live: LiveChannel;
  readonly verifyToken: TokenVerifier;
  /** @default '/v1/live' */
  readonly path?: string;
  /** A line on which nothing came back for two of these is cut, in milliseconds. @default 25_000 */
  readonly heartbeatMs?: number;
  /**
   * Most lines that have not said yet who they are. One more, and one of them is let go: of the address that has most of them the
   * one that has waited longest. So whoever opens many and says nothing loses their own, and nobody is shut out. @default 100
   */
  readonly waitingCountMax?: number;
  /** How long a line has to say who it is, in milliseconds. @default 5_000 */
  readonly signInMs?: number;
  /** How many proxies of one's own stand before this server: the address is the one that the outermost of them saw. @default 0 */
  readonly trustedHops?: number;
}

/** A line that has not said yet who it is. */
interface Waiting {
  readonly address: string;
  readonly refuse: (refusal: Refusal) => void;
}

const subscribeSchema = z.object({
  kind: z.literal('subscribe'),
  token: z.string().min(1),
  cursor: z.string().nullable().default(null),
});

const MESSAGE_BYTES_MAX = 64 * 1_024;
/** More than this on its way to one subscriber, and nothing more is read for it until it has gone. */
const BUFFERED_BYTES_MAX = 256 * 1_024;
const DRAIN_LOOK_MS = 50;
/** Closed for a reason that the last message told. */
const REFUSED = 4_400;
/** Whoever does not answer that a line is closed loses it after this, in milliseconds. */
const CLOSE_MS_MAX = 1_000;

/**
 * Takes WebSockets at `/v1/live` of a Node server. A browser cannot send headers with one, so the token comes as the first
 * message: `{"kind": "subscribe", "token": "…", "cursor": null}`. Answers are `LiveMessage`s. A line to another address is
 * answered with 404, unless the server has another listener for `upgrade`, which then has to answer it.
 *
 * @returns what stops it; lines that are open stay until `live.close()`.
 */
export function attachLiveSocket(server: Server, options: LiveSocketOptions): () => void {
  const { live, verifyToken, path = '/v1/live', heartbeatMs = 25_000 } = options;
  const { waitingCountMax = 100, signInMs = 5_000, trustedHops = 0 } = options;
  /** In the order in which they came. */
  const waiting = new Map<Duplex, Waiting>();
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false });
  const upgrade = (request: IncomingMessage, line: Duplex, head: Buffer): void => {
    // as it was sent, which need not be anything that parses as an address
    if (request.url?.split('?')[0] !== path) {
      // another listener of this server may know it; else nobody would ever answer
      if (server.listenerCount('upgrade') === 1) endWith(line, '404 Not Found');
      return;
    }
    const address = addressOf(request, trustedHops);
    sockets.handleUpgrade(request, line, head, (socket) => accept(socket, line, address));
  };

  const accept = (socket: WebSocket, line: Duplex, address: string): void => {
    const sink = sinkOf(socket);
    let unsubscribe = (): void => undefined;
    let isAlive = true;
    const heartbeat = setInterval(() => {
      if (!isAlive) {
        socket.terminate();
        return;
      }
      isAlive = false;
      socket.ping();
    }, heartbeatMs);
    const refuse = (refusal: Refusal): void => {
      waiting.delete(line);
      // whoever has gone meanwhile does not hear it
      void sink.send(refusedMessage(refusal)).catch(() => undefined);
      sink.close();
    };
    const tooLate = setTimeout(() => refuse(nobodySignedIn(signInMs)), signInMs);
    if (waiting.size >= waitingCountMax) inTheWay(waiting)?.refuse(tooManyWait());
    waiting.set(line, { address, refuse });
    socket.on('pong', () => {
      isAlive = true;
    });
    socket.on('error', () => socket.terminate());
    socket.once('close', () => {
      waiting.delete(line);
      clearInterval(heartbeat);
      clearTimeout(tooLate);
      unsubscribe();
    });
    socket.once('message', (data) => {
      clearTimeout(tooLate);
      void (async () => {
        try {
          const { token, cursor } = subscribeSchema.parse(JSON.parse(String(data)));
          const claims = await verifyToken(`Bearer ${token}`);
          waiting.delete(line);
          if (socket.readyState === socket.OPEN) unsubscribe = live.subscribe(claims, cursor, sink);
        } catch (error) {
          refuse(refusalOf(error instanceof z.ZodError || error instanceof SyntaxError ? notASubscription() : error));
        }
      })();
    });
  };

  const close = (): void => {
    for (const { refuse } of waiting.values()) refuse(serverIsClosing());
  };
  live.closing.addEventListener('abort', close);
  server.on('upgrade', upgrade);
  return () => {
    live.closing.removeEventListener('abort', close);
    server.off('upgrade', upgrade);
    sockets.close();
  };
}

function endWith(line: Duplex, status: string): void {
  // Node has let go of it, so that an error would otherwise end the process
  line.on('error', () => line.destroy());
  line.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => line.destroy());
}

/** Of the address that has most lines here the one that came first. */
function inTheWay(waiting: ReadonlyMap<Duplex, Waiting>): Waiting | undefined {
  const countOf = new Map<string, number>();
  for (const { address } of waiting.values()) countOf.set(address, (countOf.get(address) ?? 0) + 1);
  const most = Math.max(...countOf.values());
  for (const each of waiting.values()) if (countOf.get(each.address) === most) return each;
  return undefined;
}

/** As `holdfast.address_of` finds it: each proxy appends the address that it saw, and what is further left anybody may have written. */
function addressOf({ headers, socket }: IncomingMessage, trustedHops: number): string {
  const seen = [...String(headers['x-forwarded-for'] ?? '').split(','), socket.remoteAddress ?? ''];
  return seen.at(-1 - trustedHops)?.trim() ?? '';
}

function nobodySignedIn(signInMs: number): Refusal {
  return new Refusal(
    'TOKEN_MISSING',
    `Nobody signed in on this line within ${signInMs / 1_000} s.`,
    'Send the subscription as soon as the line is open.',
    undefined,
    0,
  );
}

function tooManyWait(): Refusal {
  return new Refusal(
    'SERVER_UNAVAILABLE',
    'Others came, and nobody had signed in on this line yet.',
    'Connect again, and send the subscription as soon as the line is open.',
  );
}

function notASubscription(): Refusal {
  return new Refusal(
    'INVALID_REQUEST',
    'The first message is no subscription.',
    'Send {"kind": "subscribe", "token": "…", "cursor": null}.',
  );
}

function sinkOf(socket: WebSocket): LiveSink {
  return {
    send: (message: LiveMessage) =>
      new Promise((resolve, reject) => {
        if (socket.readyState !== socket.OPEN) {
          reject(new Error('The line is closed.'));
          return;
        }
        socket.send(JSON.stringify(message), (error) => {
          if (error != null) reject(error);
          else void drained(socket).then(resolve, reject);
        });
      }),
    close: () => {
      const cut = setTimeout(() => socket.terminate(), CLOSE_MS_MAX);
      socket.once('close', () => clearTimeout(cut));
      socket.close(REFUSED);
    },
  };
}

async function drained(socket: WebSocket): Promise<void> {
  while (socket.readyState === socket.OPEN && socket.bufferedAmount > BUFFERED_BYTES_MAX) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
}
