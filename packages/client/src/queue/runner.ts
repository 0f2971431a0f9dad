import { Engine } from '../engine/engine.ts';
import type { BatchItem, EngineEffect, EngineInput, Moment, Settlement, WaitingFor } from '../engine/engine-io.ts';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { RetryRules } from '../mutation/definition.ts';
import { HoldfastError, toHoldfastError } from '../mutation/holdfast-error.ts';
import type { MutationHeader } from '../mutation/record.ts';
import type { NetworkMonitor } from '../network/network-monitor.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { Tabs } from '../ports/tabs.ts';
import type { Transport } from '../ports/transport.ts';
import { type Json, PROTOCOL_VERSION, type WireError, type WireMutation } from '../protocol/wire.ts';
import type { QueueStore } from './queue-store.ts';
import { StoreWatch, UNREADABLE } from './store-watch.ts';
import { type CancelAnswer, decodeTabMessage, encodeTabMessage, type TabMessage } from './tab-message.ts';

export interface RunnerPorts {
  readonly store: QueueStore;
  readonly tabs: Tabs;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: NetworkMonitor;
  readonly transport: Transport;
  /** Null when the server asks for no login. */
  readonly getToken: ((options: { readonly refresh: boolean }) => Promise<string | null>) | null;
  readonly workspaceId: string;
  readonly attemptTimeoutMs: number;
  readonly retryRules: (type: string) => RetryRules;
}

/** What the runner tells the queue. */
export interface RunnerEvents {
  /** These look different now; or, with none, the gates do. */
  readonly changed: (ids: readonly string[]) => void;
  /** In this tab or in another. */
  readonly settled: (settlement: Settlement) => void;
  readonly discarded: (ids: readonly string[]) => void;
  readonly failed: (error: HoldfastError) => void;
}

/** A write that failed is tried again after this, doubling, in milliseconds. */
const WRITE_DELAY_MS_BASE = 1_000;
const WRITE_DELAY_MS_MAX = 30_000;
/** Leadership that was lost to another tab is asked for again only after this, so that two do not take it in turns. */
const LEAD_AGAIN_MS = 10_000;
/** Longest wait for the tab that delivers to answer a question, in milliseconds. */
const ASK_TIMEOUT_MS = 2_000;
/** How often the store is looked at although no other tab has said that something changed. */
const LOOK_AGAIN_MS = 60_000;

/**
 * Performs the engine's effects and feeds back what happened; holds no rule of its own. Whatever goes wrong here ends as
 * an input to the engine or as an event, never as a lost promise.
 */
export class Runner {
  readonly engine: Engine;
  readonly watch: StoreWatch;
  private readonly ports: RunnerPorts;
  private readonly events: RunnerEvents;
  private isClosing = false;
  private isClosed = false;
  private sending: { readonly batchId: number; readonly abort: AbortController; readonly done: Promise<void> } | null =
    null;
  private unstored: Settlement[] = [];
  private writing: Promise<void> = Promise.resolve();
  private isWaitingToWrite = false;
  private cancelWake: () => void = () => {};
  private readonly cancels = new Set<() => void>();
  private stopLeading: () => void = () => {};
  private readonly stopListening: (() => void)[] = [];
  private lastTold = '';
  /** Who asked the tab that delivers to take a mutation back, by its id, until it answers. */
  private readonly asked = new Map<string, readonly ((answer: CancelAnswer) => void)[]>();

  constructor(ports: RunnerPorts, events: RunnerEvents) {
    this.ports = ports;
    this.events = events;
    this.engine = new Engine({ retryRules: ports.retryRules });
    this.watch = new StoreWatch({
      store: ports.store,
      engine: this.engine,
      dispatch: (input) => this.dispatch(input),
      settled: events.settled,
      discarded: events.discarded,
      report: (error) => this.report(error),
      later: (delayMs, callback) => this.later(delayMs, callback),
      isClosed: () => this.isClosed,
    });
  }

  /** Reads what is pending, joins the other tabs, and begins to deliver when it is this tab's turn. */
  async open(): Promise<void> {
    const { store, network, tabs } = this.ports;
    if (await store.isPaused()) this.dispatch({ kind: 'paused' });
    if (!network.isOnline()) this.dispatch({ kind: 'hint', hint: 'offline' });
    this.stopListening.push(
      tabs.onMessage((message) => this.receive(message)),
      network.onHint((hint) => {
        this.dispatch({ kind: 'hint', hint });
        if (hint === 'foreground' && !this.engine.isLeader)
          this.watch.reconcile().catch((error: unknown) => this.report(error));
        else this.watch.catchUpLater();
      }),
      // Found out by the monitor itself: a tab that delivers nothing, or has nothing to deliver, never asks.
      network.onReconnect(({ latencyMs }) =>
        this.dispatch({ kind: 'probed', result: { kind: 'reached', latencyMs: latencyMs ?? 0 } }),
      ),
    );
    await this.watch.reconcile();
    this.post({ kind: 'hello' });
    this.lead();
    this.later(LOOK_AGAIN_MS, () => this.lookAgain());
  }

  dispatch(input: EngineInput): void {
    if (this.isClosed) return;
    for (const effect of this.engine.handle(input, this.moment())) this.perform(effect);
  }

  moment(): Moment {
    const { clock, random } = this.ports;
    return { nowMs: clock.nowMs(), wallMs: clock.wallMs(), random };
  }

  post(message: TabMessage): void {
    if (this.isClosed) return;
    try {
      this.ports.tabs.post(encodeTabMessage(message));
    } catch (error) {
      // A hint that cannot be given is like one that is lost: the others find the truth in the store.
      this.report(error);
    }
  }

  /** Just stored by this tab. */
  added(headers: readonly MutationHeader[]): void {
    this.watch.added(headers);
    this.post({ kind: 'stored' });
  }

  /** Takes a mutation back if it cannot have been sent, which only the tab that delivers knows: another one asks it. */
  async cancel(id: string): Promise<CancelAnswer> {
    const { engine } = this;
    if (!engine.isLeader) return this.askToCancel(id);
    if (engine.mutations.get(id) === undefined) return 'unknown';
    if (!engine.canCancel(id)) {
      // Said only by the one that really delivers: another may have taken over, and may still take it back.
      if ((await this.ports.store.claim([])).isLeader) return 'tooLate';
      this.standDown();
      return 'unknown';
    }
    this.dispatch({ kind: 'cancel', ids: [id] });
    await this.writing;
    // Another tab may have taken over, or the write may have failed: only what stands in the store holds.
    return (await this.ports.store.wasDiscarded(id)) ? 'cancelled' : 'unknown';
  }

  private askToCancel(id: string): Promise<CancelAnswer> {
    return new Promise((resolve) => {
      const cancelTimeout = this.later(ASK_TIMEOUT_MS, () => this.hearAnswer(id, 'unknown'));
      this.asked.set(id, [
        ...(this.asked.get(id) ?? []),
        (answer) => {
          cancelTimeout();
          resolve(answer);
        },
      ]);
      this.post({ kind: 'cancel', id });
    });
  }

  private hearAnswer(id: string, answer: CancelAnswer): void {
    for (const resolve of this.asked.get(id) ?? []) resolve(answer);
    this.asked.delete(id);
  }

  private async answerCancel(id: string): Promise<void> {
    if (!this.engine.isLeader) return;
    // Asked before this tab has heard of it: it looks first.
    if (this.engine.mutations.get(id) === undefined) await this.watch.catchUp();
    this.post({ kind: 'cancelAnswer', id, answer: await this.cancel(id) });
  }

  /** Resolves once nothing of this tab is on its way; after the given time it is cut off, which is safe: it is sent again. */
  async whenIdle(graceMs: number): Promise<void> {
    const { sending } = this;
    if (sending === null) return;
    const cancel = this.later(graceMs, () => sending.abort.abort(CALLED_OFF));
    await sending.done;
    cancel();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    // Closes the gate of this run only: nothing more is begun.
    this.isClosing = true;
    this.dispatch({ kind: 'paused' });
    this.sending?.abort.abort(CALLED_OFF);
    await this.sending?.done;
    await this.writing;
    this.isClosed = true;
    this.stopLeading();
    for (const stop of this.stopListening) stop();
    for (const cancel of this.cancels) cancel();
    for (const id of [...this.asked.keys()]) this.hearAnswer(id, 'unknown');
    await this.watch.whenQuiet;
    this.ports.tabs.close();
    await this.ports.store.close();
  }

  private readPause(): void {
    this.ports.store.isPaused().then(
      (isPaused) => {
        // A closing queue has closed its gate for itself.
        if (isPaused !== this.engine.gates.isPaused && !this.isClosing)
          this.dispatch({ kind: isPaused ? 'paused' : 'resumed' });
      },
      (error: unknown) => this.report(error),
    );
  }

  /** Messages may be lost: now and then the store is looked at without one. */
  private lookAgain(): void {
    this.readPause();
    if (this.engine.isLeader || this.engine.mutations.counts.pending === 0) this.watch.catchUpLater();
    else this.watch.reconcile().catch((error: unknown) => this.report(error));
    this.later(LOOK_AGAIN_MS, () => this.lookAgain());
  }

  private lead(): void {
    // Stood down twice, it would ask twice, and could give back only one of the two.
    this.stopLeading();
    this.stopLeading = this.ports.tabs.lead(() => void this.takeOver());
  }

  /** Before the first send, everything in the store is looked at once more: what this tab took for settled may not be. */
  private async takeOver(): Promise<void> {
    try {
      await this.ports.store.takeOver();
      await this.watch.reconcile();
      this.dispatch({ kind: 'leadership', isLeader: true });
    } catch (error) {
      this.report(error);
      this.later(WRITE_DELAY_MS_BASE, () => void this.takeOver());
    }
  }

  private standDown(): void {
    // A send and a write may find out both; the lead must be asked for once, or this tab would keep a lock for ever.
    if (!this.engine.isLeader) return;
    this.unstored = [];
    this.stopLeading();
    this.dispatch({ kind: 'leadership', isLeader: false });
    // What the other one has settled before, this tab was not told.
    this.watch.reconcile().catch((error: unknown) => this.report(error));
    this.later(LEAD_AGAIN_MS, () => this.lead());
  }

  private receive(raw: Json): void {
    const message = decodeTabMessage(raw);
    if (message === null || this.isClosed) return;
    switch (message.kind) {
      case 'stored':
        this.watch.catchUpLater();
        return;
      case 'settled':
        this.watch.settledElsewhere(message.settlements);
        return;
      case 'discarded':
        this.watch.discarded(message.ids);
        this.events.discarded(message.ids);
        return;
      case 'delivering':
        this.dispatch({ kind: 'sendingElsewhere', seqs: message.seqs, waitingFor: message.waitingFor });
        return;
      case 'paused':
      case 'resumed':
        // It may be late, and overtaken by another: obeyed at once where that is safe, and checked.
        if (message.kind === 'paused') this.dispatch({ kind: 'paused' });
        this.readPause();
        return;
      case 'nudge':
        this.dispatch({ kind: 'hint', hint: 'nudge' });
        return;
      case 'cancel':
        this.answerCancel(message.id).catch((error: unknown) => this.report(error));
        return;
      case 'cancelAnswer':
        this.hearAnswer(message.id, message.answer);
        return;
      case 'hello':
        this.lastTold = '';
        this.tellOthers();
        return;
    }
  }

  private perform(effect: EngineEffect): void {
    switch (effect.kind) {
      case 'send':
        this.send(effect);
        return;
      case 'abort':
        if (this.sending?.batchId === effect.batchId) this.sending.abort.abort(CALLED_OFF);
        return;
      case 'settle':
        this.settle(effect.settlements);
        return;
      case 'probe':
        void this.ports.network.probe().then((result) => this.dispatch({ kind: 'probed', result }));
        return;
      case 'refreshToken':
        void this.freshToken().then((token) => this.dispatch({ kind: 'tokenRefreshed', isThere: token !== null }));
        return;
      case 'wakeAt':
        this.wakeAt(effect.atMs);
        return;
      case 'changed':
        this.tellOthers();
        this.events.changed(effect.ids);
        return;
    }
  }

  private send(effect: Extract<EngineEffect, { kind: 'send' }>): void {
    const { batchId } = effect;
    const abort = new AbortController();
    const cancelTimeout = this.later(this.ports.attemptTimeoutMs, () => abort.abort(TIMED_OUT));
    const done = Promise.race([this.attempt(effect, abort), answerOfAbort(abort.signal)]).then((answer) => {
      // A batch that was given up may end after the next has begun.
      if (this.sending?.batchId === batchId) this.sending = null;
      cancelTimeout();
      if (answer === TIMED_OUT) this.ports.network.observe(answer, this.ports.attemptTimeoutMs);
      if (answer !== null) this.dispatch({ kind: 'answer', batchId, answer });
    });
    this.sending = { batchId, abort, done };
  }

  /** Null when nothing was sent because this tab may not send. */
  private async attempt(
    effect: Extract<EngineEffect, { kind: 'send' }>,
    abort: AbortController,
  ): Promise<TransportAnswer | null> {
    const { store, transport } = this.ports;
    const headers = effect.items.map(({ header }) => header);
    let wasHandedOver = false;
    try {
      const token = await this.token();
      const claim = await store.claim(headers);
      if (abort.signal.aborted) return CALLED_OFF;
      if (token === null && this.ports.getToken !== null) return { kind: 'unauthorized', error: NO_TOKEN };
      if (!claim.isLeader) {
        this.standDown();
        return null;
      }
      if (claim.isPaused) this.dispatch({ kind: 'paused' });
      // Paused meanwhile in another tab, which has said so.
      if (this.engine.gates.isPaused) return CALLED_OFF;
      const mutations: WireMutation[] = [];
      const unreadableSeqs: number[] = [];
      for (const item of effect.items) {
        const body = claim.bodies.get(item.header.seq);
        if (body?.kind === 'record') mutations.push(toWire(item, body.record));
        else unreadableSeqs.push(item.header.seq);
      }
      if (unreadableSeqs.length > 0) await this.giveUpUnreadable(unreadableSeqs);
      if (mutations.length === 0) return { kind: 'answered', outcomes: [] };
      const client = { id: store.clientId, workspaceId: this.ports.workspaceId };
      const request = { protocol: PROTOCOL_VERSION, client, acknowledgedFloor: effect.acknowledgedFloor, mutations };
      const startedAtMs = this.ports.clock.nowMs();
      wasHandedOver = true;
      const answer = await transport.send(request, { token, signal: abort.signal });
      if (abort.signal.aborted) return answer;
      this.ports.network.observe(answer, this.ports.clock.nowMs() - startedAtMs);
      return answer;
    } catch (error) {
      // No token could be fetched or the storage not read, so nothing was sent; or the transport broke its word, and then
      // nobody knows.
      this.report(error);
      return { kind: wasHandedOver ? 'unknown' : 'unreachable', error: toWireError(error) };
    }
  }

  /** Bodies that do not read are dead letters; but one whose header is gone as well was settled by another tab. */
  private async giveUpUnreadable(seqs: readonly number[]): Promise<void> {
    const pending = await this.ports.store.arePending(seqs);
    const unreadable = seqs.filter((_, index) => pending[index]);
    if (unreadable.length > 0) this.dispatch({ kind: 'unreadable', seqs: unreadable, error: UNREADABLE });
    if (unreadable.length < seqs.length) this.watch.reconcile().catch((error: unknown) => this.report(error));
  }

  /** Rejects when the app could not find out, which most often means that it has no network either. */
  private async token(): Promise<string | null> {
    try {
      return (await this.ports.getToken?.({ refresh: false })) ?? null;
    } catch (error) {
      throw noTokenFetched(error);
    }
  }

  /** Null also when the app cannot say, or does not answer in time: it is asked again. */
  private freshToken(): Promise<string | null> {
    const { getToken, attemptTimeoutMs } = this.ports;
    return new Promise((resolve) => {
      const cancel = this.later(attemptTimeoutMs, () => resolve(null));
      const asked = getToken?.({ refresh: true }) ?? Promise.resolve(null);
      void asked
        .catch((error: unknown) => {
          this.report(noTokenFetched(error));
          return null;
        })
        .then((token) => {
          cancel();
          resolve(token);
        });
    });
  }

  /**
   * Verdicts are told at once and stored in turn. While they cannot be stored they are kept; sent again, they would be the
   * same. That something was taken back is no verdict of the server's, and holds only once it is stored.
   */
  private settle(settlements: readonly Settlement[]): void {
    this.watch.noteSettled(settlements);
    this.unstored.push(...settlements);
    this.writing = this.writing.then(() => this.write(WRITE_DELAY_MS_BASE));
    for (const settlement of settlements) if (settlement.kind !== 'cancelled') this.events.settled(settlement);
  }

  private async write(delayMs: number): Promise<void> {
    const settlements = this.unstored;
    if (settlements.length === 0 || this.isClosed || this.isWaitingToWrite) return;
    this.unstored = [];
    try {
      if (!(await this.ports.store.settle(settlements))) {
        this.standDown();
        this.dispatch({ kind: 'settlementsLost', seqs: settlements.map(seqOf) });
        return;
      }
      // Again: a look that began since they were settled may have read the store before this commit.
      this.watch.noteSettled(settlements);
      this.post({ kind: 'settled', settlements });
      this.dispatch({ kind: 'settlementsStored', seqs: settlements.map(seqOf) });
      for (const settlement of settlements) if (settlement.kind === 'cancelled') this.events.settled(settlement);
    } catch (error) {
      this.unstored = [...settlements, ...this.unstored];
      this.report(error);
      // One alarm for all: verdicts that come meanwhile wait for it too.
      this.isWaitingToWrite = true;
      this.later(delayMs, () => {
        this.isWaitingToWrite = false;
        this.writing = this.writing.then(() => this.write(Math.min(WRITE_DELAY_MS_MAX, 2 * delayMs)));
      });
    }
  }

  private wakeAt(atMs: number | null): void {
    this.cancelWake();
    if (atMs === null) return;
    this.cancelWake = this.later(atMs - this.ports.clock.nowMs(), () => this.dispatch({ kind: 'tick' }));
  }

  private tellOthers(): void {
    if (!this.engine.isLeader) return;
    const closed = this.engine.gates.closed(this.ports.clock.nowMs());
    const waitingFor: WaitingFor | null = closed?.waitingFor ?? null;
    const { sendingSeqs } = this.engine;
    const told = `${waitingFor} ${sendingSeqs.join()}`;
    if (told === this.lastTold) return;
    this.lastTold = told;
    this.post({ kind: 'delivering', seqs: sendingSeqs, waitingFor });
  }

  private later(delayMs: number, callback: () => void): () => void {
    const cancel = this.ports.clock.schedule(delayMs, () => {
      this.cancels.delete(cancel);
      if (!this.isClosed) callback();
    });
    this.cancels.add(cancel);
    return () => {
      this.cancels.delete(cancel);
      cancel();
    };
  }

  private report(error: unknown): void {
    if (!this.isClosed) this.events.failed(toHoldfastError(error));
  }
}

const CALLED_OFF: TransportAnswer = {
  kind: 'calledOff',
  error: { category: 'NETWORK_ERROR', code: 'UNREACHABLE', message: 'The attempt was called off by this device.' },
};

const TIMED_OUT: TransportAnswer = {
  kind: 'unknown',
  error: {
    category: 'TIMEOUT_ERROR',
    code: 'NO_ANSWER',
    message: 'The server did not answer in time.',
    hint: 'Nothing to do: it is sent again under the same id, and takes effect once.',
  },
};

/** Resolves when the attempt is cut off, whatever the transport or the app make of the signal. */
function answerOfAbort(signal: AbortSignal): Promise<TransportAnswer> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason === TIMED_OUT ? TIMED_OUT : CALLED_OFF), {
      once: true,
    });
  });
}

const NO_TOKEN: WireError = {
  category: 'AUTH_ERROR',
  code: 'TOKEN_MISSING',
  message: 'There is no login to send under.',
  hint: 'Sign in again. What is stored on this device is kept.',
};

function noTokenFetched(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'UNREACHABLE',
    message: `The app could not fetch a token: ${cause instanceof Error ? cause.message : String(cause)}.`,
    hint: 'Nothing to do: it is asked again. For "nobody is signed in", let `getToken` resolve to null.',
    cause,
  });
}

function toWire({ header, after }: BatchItem, payload: WireMutation['payload']): WireMutation {
  const { id, seq, generation, type, version, operation, entity, createdAtMs } = header;
  return {
    id,
    seq,
    after,
    generation,
    type,
    version,
    operation,
    entity,
    payload,
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

function seqOf(settlement: Settlement): number {
  switch (settlement.kind) {
    case 'completed':
      return settlement.record.seq;
    case 'failed':
      return settlement.deadLetter.header.seq;
    case 'refused':
    case 'cancelled':
      return settlement.header.seq;
  }
}

function toWireError(error: unknown): WireError {
  return toHoldfastError(error).toWire();
}
