import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { build, type Rolldown } from 'vite';
import { PROTOCOL_VERSION, type ApplyRequest, type WireOutcome } from '../../protocol/wire.ts';

export interface Arrival {
  readonly id: string;
  /** The tab that sent it. */
  readonly tab: string;
  /** By the clock of the test. */
  readonly atMs: number;
}

/** A server of one page, an origin of its own, with a ledger: each id takes effect once, and what arrives is written down. */
export class PageServer {
  readonly url: string;
  /** In the order in which effects took place. */
  readonly effects: Arrival[] = [];
  /** Every mutation that arrived, repeats too. */
  readonly arrivals: Arrival[] = [];
  /** Requests of these tabs are taken and neither acted on nor answered. */
  readonly swallowed = new Set<string>();
  private readonly close_: () => Promise<void>;
  private listeners: (() => void)[] = [];

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.close_ = close;
  }

  static async start(): Promise<PageServer> {
    bundled ??= bundle();
    const script = await bundled;
    let served: PageServer | null = null;
    const server = createServer((request, response) => {
      void served?.serve(script, request, response).catch(() => request.socket.destroy());
    });
    await new Promise<void>((done) => server.listen(0, 'localhost', done));
    const { port } = server.address() as AddressInfo;
    served = new PageServer(
      `http://localhost:${port}`,
      () =>
        new Promise((done) => {
          server.close(() => done());
          server.closeAllConnections();
        }),
    );
    return served;
  }

  close(): Promise<void> {
    return this.close_();
  }

  /** The effect of a mutation, once it has taken place. */
  async effectOf(id: string): Promise<Arrival> {
    for (;;) {
      const effect = this.effects.find((each) => each.id === id);
      if (effect !== undefined) return effect;
      await new Promise<void>((next) => this.listeners.push(next));
    }
  }

  /** The first request of a tab with this mutation, acted on or not. */
  async arrivalOf(id: string): Promise<Arrival> {
    for (;;) {
      const arrival = this.arrivals.find((each) => each.id === id);
      if (arrival !== undefined) return arrival;
      await new Promise<void>((next) => this.listeners.push(next));
    }
  }

  private async serve(script: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const answer = (type: string, text: string): void => {
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' }).end(text);
    };
    const json = (value: unknown): void => answer('application/json', JSON.stringify(value));
    switch (pathname) {
      case '/page.js':
        answer('text/javascript', script);
        return;
      case '/v1/health':
        json({ service: 'holdfast', protocol: PROTOCOL_VERSION, status: 'ok', serverTime: new Date().toISOString() });
        return;
      case '/v1/apply': {
        const outcomes = this.apply(await readJson(request), searchParams.get('tab') ?? '');
        if (outcomes !== null) json({ protocol: PROTOCOL_VERSION, outcomes, serverTime: new Date().toISOString() });
        return;
      }
      default:
        answer('text/html', '<!doctype html><title>tab</title><script type="module" src="/page.js"></script>');
    }
  }

  private apply({ mutations }: ApplyRequest, tab: string): readonly WireOutcome[] | null {
    const atMs = performance.now();
    const isSwallowed = this.swallowed.has(tab);
    const outcomes = mutations.map(({ seq, id }): WireOutcome => {
      this.arrivals.push({ id, tab, atMs });
      if (this.effects.some((each) => each.id === id))
        return { seq, id, kind: 'duplicate', verdict: 'applied', result: null };
      if (!isSwallowed) this.effects.push({ id, tab, atMs });
      return { seq, id, kind: 'applied', result: null };
    });
    const { listeners } = this;
    this.listeners = [];
    for (const listener of listeners) listener();
    return isSwallowed ? null : outcomes;
  }
}

async function readJson(request: IncomingMessage): Promise<ApplyRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  // From our own page.
  return JSON.parse(Buffer.concat(chunks).toString()) as ApplyRequest;
}

let bundled: Promise<string> | undefined;

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@holdfast/source', 'module', 'browser', 'import', 'default'] },
    build: {
      write: false,
      minify: false,
      modulePreload: false,
      rolldownOptions: { input: resolve(import.meta.dirname, 'page.ts') },
    },
  });
  const [output] = Array.isArray(built) ? built : [built as Rolldown.RolldownOutput];
  const chunk = output?.output.find((each) => each.type === 'chunk');
  if (chunk === undefined || chunk.type !== 'chunk') throw new Error('The page was not built.');
  return chunk.code;
}
