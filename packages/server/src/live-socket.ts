import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { LiveMessage } from 'holdfast/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { TokenVerifier } from './auth.ts';
import type { LiveChannel, LiveSink } from './live-channel.ts';
import { Refusal, refusalOf } from './refusal.ts';

export interface LiveSocketOptions {
  readonly live: LiveChannel;
  readonly verifyToken: TokenVerifier;
  /** @default '/v1/live' */
  readonly path?: string;
  /** A line on which nothing came back for two of these is cut, in milliseconds. @default 25_000 */
  readonly heartbeatMs?: number;
  /** Most lines that have not said yet who they are; the next one is answered with 503. Each has 10 s for it. @default 100 */
  readonly waitingCountMax?: number;
}

const subscribeSchema = z.object({
  kind: z.literal('subscribe'),
  token: z.string().min(1),
  cursor: z.string().nullable().default(null),
});

/** The first message must come within this time, in milliseconds. */
const SUBSCRIBE_MS_MAX = 10_000;
const MESSAGE_BYTES_MAX = 64 * 1_024;
/** More than this on its way to one subscriber, and nothing more is read for it until it has gone. */
const BUFFERED_BYTES_MAX = 256 * 1_024;
const DRAIN_LOOK_MS = 50;
/** Closed for a reason that the last message told. */
const REFUSED = 4_400;

/**
 * Takes WebSockets at `/v1/live` of a Node server. A browser cannot send headers with one, so the token comes as the first
 * message: `{"kind": "subscribe", "token": "…", "cursor": null}`. Answers are `LiveMessage`s. A line to another address is
 * answered with 404, unless the server has another listener for `upgrade`, which then has to answer it.
 *
 * @returns what stops it; lines that are open stay until `live.close()`.
 */
export function attachLiveSocket(server: Server, options: LiveSocketOptions): () => void {
  const { live, verifyToken, path = '/v1/live', heartbeatMs = 25_000, waitingCountMax = 100 } = options;
  const waiting = new Set<Duplex>();
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false });
  const upgrade = (request: IncomingMessage, line: Duplex, head: Buffer): void => {
    // as it was sent, which need not be anything that parses as an address
    if (request.url?.split('?')[0] !== path) {
      // another listener of this server may know it; else nobody would ever answer
      if (server.listenerCount('upgrade') === 1) endWith(line, '404 Not Found');
      return;
    }
    if (waiting.size >= waitingCountMax) {
      endWith(line, '503 Service Unavailable', 'Retry-After: 2\r\n');
      return;
    }
    waiting.add(line);
    line.once('close', () => waiting.delete(line));
    sockets.handleUpgrade(request, line, head, (socket) => accept(socket, () => waiting.delete(line)));
  };

  const accept = (socket: WebSocket, isKnown: () => void): void => {
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
    const tooLate = setTimeout(() => socket.close(REFUSED, 'No subscription came.'), SUBSCRIBE_MS_MAX);
    socket.on('pong', () => {
      isAlive = true;
    });
    socket.on('error', () => socket.terminate());
    socket.once('close', () => {
      clearInterval(heartbeat);
      clearTimeout(tooLate);
      unsubscribe();
    });
    socket.once('message', (data) => {
      clearTimeout(tooLate);
      void (async () => {
        const sink = sinkOf(socket);
        try {
          const { token, cursor } = subscribeSchema.parse(JSON.parse(String(data)));
          const claims = await verifyToken(`Bearer ${token}`);
          isKnown();
          if (socket.readyState === socket.OPEN) unsubscribe = live.subscribe(claims, cursor, sink);
        } catch (error) {
          const refusal = refusalOf(
            error instanceof z.ZodError || error instanceof SyntaxError ? notASubscription() : error,
          );
          // whoever has gone meanwhile does not hear it
          await sink.send({ kind: 'refused', error: refusal.toWireError(), retryAfterMs: null }).catch(() => undefined);
          sink.close();
        }
      })();
    });
  };

  server.on('upgrade', upgrade);
  return () => {
    server.off('upgrade', upgrade);
    sockets.close();
  };
}

function endWith(line: Duplex, status: string, header = ''): void {
  // Node has let go of it, so that an error would otherwise end the process
  line.on('error', () => line.destroy());
  line.end(`HTTP/1.1 ${status}\r\n${header}Connection: close\r\nContent-Length: 0\r\n\r\n`, () => line.destroy());
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
    close: () => socket.close(REFUSED),
  };
}

async function drained(socket: WebSocket): Promise<void> {
  while (socket.readyState === socket.OPEN && socket.bufferedAmount > BUFFERED_BYTES_MAX) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
}
