import type { ProbeResult } from '../../packages/client/src/engine/probe-result.ts';
import type { ApplyRequest, Json } from '../../packages/client/src/protocol/wire.ts';
import type { NetworkSource } from '../../packages/client/src/ports/network-source.ts';
import type { Device } from './device.ts';
import type { Dice } from './dice.ts';
import { type HttpAnswer, html, json, refusal } from './sim-server.ts';
import type { TabProcess } from './tab-process.ts';
import type { World } from './world.ts';

type Hint = 'online' | 'offline' | 'foreground';

/** The line between one device and the server: what gets lost, late, doubled, cut or answered by someone else. */
export class Line {
  /** What the platform believes; it may be wrong. */
  isOnlineHint = true;
  private readonly world: World;
  private readonly device: Device;
  private readonly hintListeners = new Map<TabProcess, Set<(hint: Hint) => void>>();
  private readonly partition = { untilMs: 0, isSilent: false };
  private portalUntilMs = 0;
  private requestCount = 0;
  /** Until when a tab was asked not to send. */
  private readonly askedPauses = new Map<TabProcess, { readonly untilMs: number; readonly openCount: number }>();
  /** The last answer that anyone got, for the one that goes to the wrong address. */
  private static readonly lastAnswers = new WeakMap<World, HttpAnswer>();

  constructor(world: World, device: Device) {
    this.world = world;
    this.device = device;
  }

  /** A silent one swallows what is sent; another refuses it. */
  cut(durationMs: number, isSilent: boolean): void {
    this.partition.untilMs = this.world.scheduler.nowMs + durationMs;
    this.partition.isSilent = isSilent;
  }

  enterPortal(durationMs: number): void {
    this.portalUntilMs = this.world.scheduler.nowMs + durationMs;
  }

  heal(): void {
    this.partition.untilMs = 0;
    this.portalUntilMs = 0;
    this.isOnlineHint = true;
  }

  /** Tells the tabs what the platform believes now. */
  hint(hint: Hint): void {
    if (hint !== 'foreground') this.isOnlineHint = hint === 'online';
    for (const [process, listeners] of this.hintListeners) {
      process.later(0, `hint ${hint}`, () => {
        for (const listener of [...listeners]) listener(hint);
      });
    }
  }

  networkSource(process: TabProcess): NetworkSource {
    const { world } = this;
    const listeners = new Set<(hint: Hint) => void>();
    this.hintListeners.set(process, listeners);
    process.onKilled(() => this.hintListeners.delete(process));
    return {
      isOnline: () => this.isOnlineHint,
      // Where a policy may hold something back.
      connection: () => ({ type: 'cellular', generation: null, isMetered: true, bandwidthMbps: null }),
      onHint: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      probe: (signal) => {
        const call = process.begin('probe');
        return new Promise((resolve) => {
          if (call === null) return;
          const end = (result: ProbeResult, delayMs: number): void => {
            process.later(delayMs, `probe ${result.kind}`, () => {
              if (!call.hasHappened()) return;
              resolve(result);
              call.hasReturned();
            });
          };
          signal.addEventListener('abort', () => resolve({ kind: 'notReached', reason: 'no answer in time' }));
          const { faults } = world;
          const dice = this.nextRequest();
          const latencyMs = this.latencyMs(dice);
          if (this.isCut || faults.strikes('requestLost', dice) || faults.strikes('responseLost', dice)) {
            if (!this.partition.isSilent) end({ kind: 'notReached', reason: 'no connection' }, dice.between(1, 200));
          } else if (this.isInPortal) {
            end({ kind: 'notReached', reason: 'something else than the server answered' }, latencyMs);
          } else {
            end({ kind: 'reached', latencyMs }, latencyMs);
          }
        });
      },
    };
  }

  /** What `fetch` is to the real HTTP transport. */
  fetch(process: TabProcess, init: RequestInit): Promise<Response> {
    const { world } = this;
    const { history, faults, scheduler } = world;
    const request = JSON.parse(String(init.body)) as ApplyRequest;
    const call = process.begin(`fetch ${describeRequest(request)}`);
    if (call === null) return new Promise(() => {});
    const dice = this.nextRequest();
    const authorization = (init.headers as Record<string, string>)['authorization'] ?? null;
    process.sendingCount += 1;
    let isOut = true;
    const isBack = (): void => {
      if (isOut) process.sendingCount -= 1;
      isOut = false;
    };
    const sentStep = history.onSendStart(this.device, process, request);
    this.checkAskedPause(process);
    return new Promise((resolve, reject) => {
      const { signal } = init;
      signal?.addEventListener('abort', () => {
        isBack();
        reject(new DOMException('aborted', 'AbortError'));
      });
      if (signal?.aborted) reject(new DOMException('aborted', 'AbortError'));
      const answer = (from: HttpAnswer, delayMs: number): void => {
        process.later(delayMs, `answer ${from.status} ${from.body.slice(0, 400)}`, () => {
          isBack();
          resolve(this.responseOf(process, from, signal ?? null, dice));
          call.hasReturned();
        });
      };
      /** Either the platform notices, or nothing ever comes. */
      const lose = (delayMs: number): void => {
        if (dice.chance(0.6))
          process.later(delayMs, 'fetch failed', () => {
            isBack();
            reject(new TypeError('Failed to fetch'));
          });
      };
      const arrive = (isFirst: boolean): void => {
        if (this.isCut) {
          if (isFirst) lose(dice.between(1, 500));
          return;
        }
        const from = this.serve(authorization, request, sentStep, dice);
        if (!isFirst) world.facts.reached('a request arrives a second time');
        if (!isFirst || !call.hasHappened() || from === null) return;
        if (from === 'reset') {
          lose(this.latencyMs(dice));
          return;
        }
        if (this.isCut || faults.strikes('responseLost', dice)) lose(this.latencyMs(dice));
        else answer(this.damaged(from, dice), this.latencyMs(dice));
      };
      if (this.isCut) {
        if (!this.partition.isSilent) lose(dice.between(1, 200));
        return;
      }
      if (this.isInPortal) {
        answer(html(dice.pick([200, 302, 511])), this.latencyMs(dice));
        return;
      }
      if (faults.strikes('proxyError', dice)) {
        answer(
          html(dice.pick([400, 401, 403, 404, 408, 413, 422, 425, 426, 429, 502, 503, 504])),
          this.latencyMs(dice),
        );
        return;
      }
      if (faults.strikes('requestLost', dice)) {
        lose(this.latencyMs(dice));
        return;
      }
      scheduler.at(this.latencyMs(dice), () => arrive(true));
      if (faults.strikes('requestDuplicated', dice)) {
        scheduler.at(dice.logBetween(1, 120_000), () => arrive(false));
      }
    });
  }

  /** A server that asks for a pause of some seconds gets it, up to 5 minutes. */
  private noteAskedPause(process: TabProcess, { status, headers }: HttpAnswer): void {
    const seconds = Number(headers['retry-after']);
    if (status === 200) this.askedPauses.delete(process);
    if (status !== 429 || !(seconds > 0)) return;
    const untilMs = this.world.scheduler.nowMs + 1_000 * Math.min(300, seconds);
    this.askedPauses.set(process, { untilMs, openCount: process.openCount });
  }

  private checkAskedPause(process: TabProcess): void {
    const { history, scheduler } = this.world;
    const { untilMs, openCount } = this.askedPauses.get(process) ?? { untilMs: 0, openCount: 0 };
    // A queue that was opened anew begins as after a reload of the page.
    if (scheduler.nowMs < untilMs && process.openCount === openCount)
      history.violated('inv-I15', `${process.name} sends ${untilMs - scheduler.nowMs} ms before the server wants it`);
  }

  /** Null for a server that never answers; `reset` for one that ends before it does. */
  private serve(
    authorization: string | null,
    request: ApplyRequest,
    sentStep: number,
    dice: Dice,
  ): HttpAnswer | 'reset' | null {
    const { faults, server, trace, scheduler, facts } = this.world;
    // Of the others nothing is to be seen: what they share is the database.
    const meets = scheduler.nowMs < server.rolloutUntilMs ? dice.pick(INSTANCES) : 'running';
    if (meets !== 'running') facts.reached('a request meets a server that is being replaced');
    if (meets === 'draining') return refusal(503, 'SERVER_ERROR', 'SHUTTING_DOWN', { 'retry-after': '1' });
    if (meets === 'ends before') return 'reset';
    if (faults.strikes('halfOpen', dice) && dice.chance(0.5)) return null;
    if (faults.strikes('rateLimited', dice)) {
      const retryAfter = dice.pick(['1', '30', '31536000', 'soon', '-5', '']);
      return refusal(429, 'RATE_LIMITED', 'TOO_MANY_REQUESTS', { 'retry-after': retryAfter });
    }
    if (faults.strikes('failedBeforeCommit', dice)) return serverFailure(dice);
    const from = server.receive(authorization, request, sentStep);
    trace.note(
      scheduler.nowMs,
      'server',
      `${describeRequest(request)} → ${from.status} ${describeOutcomes(from.body)}`,
    );
    if (meets === 'ends after') {
      if (from.status === 200) facts.reached('a server is replaced before it has answered what it did');
      return 'reset';
    }
    if (faults.strikes('failedAfterCommit', dice)) return serverFailure(dice);
    return from;
  }

  /** What may become of an answer on its way back. */
  private damaged(from: HttpAnswer, dice: Dice): HttpAnswer {
    const { faults } = this.world;
    const other = Line.lastAnswers.get(this.world);
    Line.lastAnswers.set(this.world, from);
    if (faults.strikes('bodyForeign', dice)) return html(200);
    if (faults.strikes('bodyTruncated', dice))
      return { ...from, body: from.body.slice(0, dice.below(from.body.length)) };
    if (other !== undefined && faults.strikes('answerSwapped', dice)) {
      this.world.history.onRepeatedAnswer(other.body);
      return other;
    }
    if (from.status !== 200) return from;
    const isShuffled = faults.strikes('answerShuffled', dice);
    const isPartial = faults.strikes('answerPartial', dice);
    if (!isShuffled && !isPartial) return from;
    const body = JSON.parse(from.body) as { outcomes: unknown[] };
    if (isShuffled) body.outcomes.reverse();
    if (isPartial) body.outcomes = body.outcomes.filter(() => dice.chance(0.5));
    return json(200, body);
  }

  private responseOf(process: TabProcess, from: HttpAnswer, signal: AbortSignal | null, dice: Dice): Response {
    const { faults } = this.world;
    const isCutOff = faults.strikes('responseLost', dice) && dice.chance(0.3);
    // As much of a `Response` as the transport may use.
    const response = {
      status: from.status,
      headers: { get: (name: string) => from.headers[name] ?? null },
      text: () =>
        new Promise<string>((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
          process.later(dice.between(0.1, 20), 'body read', () => {
            if (isCutOff) reject(new TypeError('terminated'));
            else {
              this.noteAskedPause(process, from);
              resolve(from.body);
            }
          });
        }),
    };
    return response as unknown as Response;
  }

  private nextRequest(): Dice {
    this.requestCount += 1;
    return this.world.dice.of(`request d${this.device.index}`, this.requestCount);
  }

  private latencyMs(dice: Dice): number {
    const { faults } = this.world;
    return faults.strikes('delayed', dice) ? dice.logBetween(50, 90_000) : dice.between(5, 60);
  }

  get isCut(): boolean {
    return this.partition.untilMs > this.world.scheduler.nowMs;
  }

  private get isInPortal(): boolean {
    return this.portalUntilMs > this.world.scheduler.nowMs;
  }
}

/** What a request may meet while instances are being replaced. */
const INSTANCES = ['running', 'draining', 'ends before', 'ends after'] as const;

function serverFailure(dice: Dice): HttpAnswer {
  const status = dice.pick([500, 503, 504]);
  return dice.chance(0.5) ? html(status) : refusal(status, 'SERVER_ERROR', 'INTERNAL');
}

function describeRequest(request: ApplyRequest): string {
  const items = request.mutations.map(
    ({ seq, after, generation, payload }) => `${seq}<${after ?? ''}g${generation}:${textOf(payload['tag'])}`,
  );
  return `floor ${request.acknowledgedFloor} [${items.join()}]`;
}

function textOf(tag: Json | undefined): string {
  return typeof tag === 'string' ? tag : '?';
}

function describeOutcomes(body: string): string {
  if (!body.startsWith('{"protocol"')) return body.slice(0, 80);
  const { outcomes } = JSON.parse(body) as { outcomes: { seq: number; kind: string; verdict?: string }[] };
  return outcomes.map(({ seq, kind, verdict }) => `${seq}:${kind}${verdict === undefined ? '' : ` ${verdict}`}`).join();
}
