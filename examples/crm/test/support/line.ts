import { createServer, type IncomingMessage, type RequestOptions, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as v from 'valibot';

/** What becomes of the answer to one request. */
export type Fate =
  /** It arrives. */
  | 'deliver'
  /** The server has answered, and so applied what it applies; the answer is lost on the way. */
  | 'loseAnswer'
  /** The request does not reach the server. */
  | 'loseRequest'
  /** The server has answered; the answer is held until `release`. */
  | 'hold'
  /** A captive portal answers everything with a page of its own. */
  | 'portal';

/**
 * The line between browser and server: everything passes through it, and it loses what it is told to lose. It counts
 * what was sent, so that a test knows what the server really got.
 */
export interface Line {
  readonly url: string;
  /** Decides about each request to the door's `apply`; `number` counts them from 1. Other requests are delivered. */
  decide: (number: number) => Fate;
  /** Decides about everything else, by path. */
  decideOther: (path: string) => Fate;
  /** The `authorization` header that goes on to the server in place of the browser's; null leaves it. */
  replaceAuthorization: (path: string) => string | null;
  readonly counts: { readonly requests: number; readonly lostAnswers: number; readonly lostRequests: number };
  /** How often each mutation id was sent, as far as it reached the server. */
  readonly sent: ReadonlyMap<string, number>;
  /** Resolves when an answer is being held. */
  readonly untilHeld: () => Promise<void>;
  readonly release: () => void;
  readonly close: () => Promise<void>;
}

const PORTAL_PAGE = '<!doctype html><html><title>Airport Wi-Fi</title><body>Please sign in to the Wi-Fi.</body></html>';
const batchSchema = v.object({ mutations: v.array(v.object({ id: v.string() })) });

export async function openLine(serverPort: number): Promise<Line> {
  let requestCount = 0;
  let lostAnswerCount = 0;
  let lostRequestCount = 0;
  const sent = new Map<string, number>();
  let held = Promise.withResolvers<void>();
  let releasing = Promise.withResolvers<void>();

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await readAll(incoming);
    const path = incoming.url ?? '/';
    const isApply = path === '/v1/apply';
    if (isApply) requestCount += 1;
    const fate = isApply ? line.decide(requestCount) : line.decideOther(path);
    if (fate === 'portal') {
      outgoing.writeHead(200, { 'content-type': 'text/html' }).end(PORTAL_PAGE);
      return;
    }
    if (fate === 'loseRequest') {
      lostRequestCount += 1;
      incoming.socket.destroy();
      return;
    }
    if (isApply) for (const id of idsOf(body)) sent.set(id, (sent.get(id) ?? 0) + 1);
    const authorization = line.replaceAuthorization(path);
    const headers = authorization === null ? incoming.headers : { ...incoming.headers, authorization };
    const answer = await ask({ port: serverPort, method: incoming.method, path, headers }, body);
    if (fate === 'hold') {
      held.resolve();
      await releasing.promise;
    }
    if (fate === 'loseAnswer') {
      lostAnswerCount += 1;
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(answer.status, answer.headers).end(answer.body);
  };
  const server = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const { port } = server.address() as AddressInfo;

  const line: Line = {
    url: `http://localhost:${port}`,
    decide: () => 'deliver',
    decideOther: () => 'deliver',
    replaceAuthorization: () => null,
    get counts() {
      return { requests: requestCount, lostAnswers: lostAnswerCount, lostRequests: lostRequestCount };
    },
    sent,
    untilHeld: () => held.promise,
    release: () => {
      releasing.resolve();
      held = Promise.withResolvers();
      releasing = Promise.withResolvers();
    },
    close: () =>
      new Promise((resolve) => {
        releasing.resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return line;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function ask(options: RequestOptions, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, host: 'localhost' }, (incoming) => {
      readAll(incoming).then(
        (answer) => resolve({ status: incoming.statusCode ?? 502, headers: incoming.headers, body: answer }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function idsOf(body: Buffer): readonly string[] {
  try {
    return v.parse(batchSchema, JSON.parse(body.toString())).mutations.map(({ id }) => id);
  } catch {
    return [];
  }
}
