import type { BatchItem, EngineEffect } from '../../engine/engine-io.ts';
import type { TransportAnswer } from '../../engine/transport-answer.ts';
import { HoldfastError, messageOf, toHoldfastError } from '../../mutation/holdfast-error.ts';
import type { DeadLetter, MutationBody, MutationHeader } from '../../mutation/record.ts';
import { type Secrets, secretsOf } from '../../mutation/sensitive.ts';
import {
  type ApplyRequest,
  type ClientNotice,
  type ForkedFrom,
  PROTOCOL_VERSION,
  type Telemetry,
  type WaitingTelemetry,
  type WireError,
  type WireMutation,
} from '../../protocol/wire.ts';
import { refusalOfStored } from './check-stored.ts';
import { type Claim, type ClientClaim, OPENED_BY_NEWER } from '../store/queue-store.ts';
import { redactAnswer, redactThrown } from './redact-answer.ts';
import { NOT_READ, UNREADABLE } from '../store/store-watch.ts';
import { TailSender } from './tail-sender.ts';
import { toWire } from './to-wire.ts';
import { NOT_READ_NOW, Unreads } from '../store/unreads.ts';
import type { PartPorts } from '../part-ports.ts';

type Send = Extract<EngineEffect, { kind: 'send' }>;

/** What was committed to a relaxed store is on the disk after this time at the latest, in milliseconds. */
const ON_DISK_AFTER_MS = 60_000;
/** So many of those that wait the server is told of with a report. */
const WAITING_TOLD_MAX = 10;

export interface SenderPorts
  extends Pick<
    PartPorts,
    | 'store'
    | 'engine'
    | 'clock'
    | 'alarms'
    | 'network'
    | 'transport'
    | 'getToken'
    | 'workspaceId'
    | 'userId'
    | 'attemptTimeoutMs'
    | 'reports'
    | 'definitions'
    | 'queueName'
    | 'dispatch'
    | 'standDown'
    | 'report'
  > {
  /** Resolves when what is settled is stored; says whether all of it is. */
  readonly allStored: () => Promise<boolean>;
  /** What the server had confirmed and has forgotten, and does not take again. */
  readonly forgottenFailed: (deadLetter: DeadLetter) => void;
  /** Called with what the server says of this client, and with what it was told of a fork, if it was. */
  readonly heardOfClient: (notice: ClientNotice, asked: ClientClaim) => void;
  /** The lowest number of what is pending and does not read; null for none. */
  readonly firstUnreadableSeq: () => number | null;
  /** What this tab believes may not be what is stored. */
  readonly reconcile: () => void;
  /** Says whether this went wrong because the keys of the store are away, and then nothing more is sent. */
  readonly noticedLock: (error: unknown) => boolean;
}

/** A claim older than this when it comes is read again, in milliseconds; shorter than anyone waits for a pause. */
const CLAIM_MS_MAX = 5_000;

/**
 * One batch on its way: the token, the claim, the transport, and the time it may take. However it ends, the engine gets
 * one answer, unless this tab may not send at all.
 */
export class Sender {
  private readonly ports: SenderPorts;
  private readonly tailSender: TailSender;
  private sending: { readonly batchId: number; readonly abort: AbortController; readonly done: Promise<void> } | null =
    null;

  /** Of a relaxed store: the number up to which all was settled so long ago that it is on the disk, and the next such number. */
  private oldFloor = 0;
  private nextFloor = { floor: 0, atMs: Number.NEGATIVE_INFINITY };
  private readonly unreads = new Unreads();

  constructor(ports: SenderPorts) {
    this.ports = ports;
    this.tailSender = new TailSender({ ...ports, clientOf: (claim) => this.clientOf(claim, 0) });
  }

  send(effect: Send): void {
    const { batchId } = effect;
    const abort = new AbortController();
    const cancelTimeout = this.ports.alarms.after(this.ports.attemptTimeoutMs, () => abort.abort(TIMED_OUT));
    const done = Promise.race([this.attempt(effect, abort), answerOfAbort(abort.signal)]).then((answer) => {
      // A batch that was given up may end after the next has begun.
      if (this.sending?.batchId === batchId) this.sending = null;
      cancelTimeout();
      if (answer === TIMED_OUT) this.ports.network.observe(answer, this.ports.attemptTimeoutMs);
      if (answer !== null) this.ports.dispatch({ kind: 'answer', batchId, answer });
    });
    this.sending = { batchId, abort, done };
  }

  /** Null when nothing was sent because this tab may not send. */
  private async attempt(effect: Send, abort: AbortController): Promise<TransportAnswer | null> {
    const { store, engine, transport, clock } = this.ports;
    const headers = effect.items.map(({ header }) => header);
    const { signal } = abort;
    let wasHandedOver = false;
    const secrets = new Map<string, Secrets>();
    try {
      const token = await this.token();
      const claim = await this.claim(headers, signal);
      if (signal.aborted) return CALLED_OFF;
      if (token === null && this.ports.getToken !== null)
        return { kind: 'unauthorized', error: NO_TOKEN, isUnsent: true };
      if (!claim.isLeader) {
        this.ports.standDown();
        return null;
      }
      const acts =
        claim.untoldAct === null
          ? null
          : await store.acts.untold(claim.untoldAct).catch((error: unknown) => this.notTold(error));
      if (claim.isPaused) this.ports.dispatch({ kind: 'paused' });
      if (claim.isSignedOut) this.ports.dispatch({ kind: 'signedOut' });
      if (claim.isOutdated) this.ports.dispatch({ kind: 'upgradeRequired', error: OPENED_BY_NEWER });
      // Paused or signed out meanwhile in another tab, which has said so.
      if (engine.gates.isStopped) return CALLED_OFF;
      const { mutations, hasUnread } = await this.readable(effect.items, claim, secrets);
      // Closed, paused, signed out or replaced while that was found out.
      if (signal.aborted || engine.gates.isStopped) return CALLED_OFF;
      if (mutations.length === 0)
        return hasUnread ? { kind: 'unreachable', error: NOT_READ_NOW } : { kind: 'answered', outcomes: [] };
      const telemetry = this.ports.reports.next(this.queueNow(), acts?.told ?? []);
      const request = {
        protocol: PROTOCOL_VERSION,
        client: this.clientOf(claim, mutations.length),
        acknowledgedFloor: this.floorOnDisk(this.belowUnreadable(effect.acknowledgedFloor)),
        mutations,
        ...(claim.serverEpoch === null ? {} : { epoch: claim.serverEpoch }),
        ...(telemetry === null ? {} : { telemetry }),
      };
      const startedAtMs = clock.nowMs();
      wasHandedOver = true;
      const given = await transport.send(request, { token, signal });
      const answer = this.withAdvice(redactAnswer(given, secrets));
      // Of a client that is behind, the server takes no report.
      if (telemetry !== null && answer.kind === 'answered' && answer.client?.behind === undefined) {
        this.ports.reports.taken();
        acts?.commit().catch((error: unknown) => this.notTold(error));
      }
      if (signal.aborted) return answer;
      this.ports.network.observe(answer, clock.nowMs() - startedAtMs);
      return answer.kind === 'answered' ? await this.heard(answer, claim, { token, signal }) : answer;
    } catch (error) {
      // No token could be fetched or the storage not read, so nothing was sent; or the transport broke its word, and then
      // nobody knows.
      const told = redactThrown(error, secrets);
      this.ports.report(told);
      if (!wasHandedOver && this.ports.noticedLock(error)) return CALLED_OFF;
      return { kind: wasHandedOver ? 'unknown' : 'unreachable', error: toWireError(told) };
    }
  }

  /** What of a batch can be sent, with what is hidden of it; what can not, or not as it stands, is given up, if not at once. */
  private async readable(
    items: readonly BatchItem[],
    { bodies, lostUpToSeq }: Claim,
    secrets: Map<string, Secrets>,
  ): Promise<{ readonly mutations: readonly WireMutation[]; readonly hasUnread: boolean }> {
    const mutations: WireMutation[] = [];
    const unreadableSeqs: number[] = [];
    const unreadSeqs: number[] = [];
    for (const item of items) {
      const { id, seq, type } = item.header;
      const body = bodies.get(seq);
      const refusal = body?.kind === 'record' ? this.refusalOf(item.header, body.record) : null;
      if (body?.kind === 'unread') unreadSeqs.push(seq);
      else if (body?.kind !== 'record') unreadableSeqs.push(seq);
      else if (refusal !== null) await this.giveUpUnreadable([seq], refusal);
      else {
        const hidden = secretsOf(this.ports.definitions, type, body.record);
        if (hidden !== null) secrets.set(id, hidden);
        // What is behind this one is settled; one that was settled under an id that is lost, the server cannot find.
        const after = item.after !== null && item.after > lostUpToSeq ? item.after : null;
        mutations.push(toWire({ ...item, after }, body.record));
      }
    }
    if (unreadableSeqs.length > 0) await this.giveUpUnreadable(unreadableSeqs);
    const lostSeqs = this.unreads.noted(unreadSeqs, this.ports.clock.nowMs());
    if (lostSeqs.length > 0) await this.giveUpUnreadable(lostSeqs, NOT_READ);
    return { mutations, hasUnread: unreadSeqs.length > 0 };
  }

  /** Takes note of what the server says besides: its time, this client, its epoch. Resolves to the answer, or to what came of it. */
  private async heard(
    answer: Extract<TransportAnswer, { kind: 'answered' }>,
    claim: Claim,
    options: { readonly token: string | null; readonly signal: AbortSignal },
  ): Promise<TransportAnswer> {
    const { store, heardOfClient } = this.ports;
    const { serverTimeMs, client, epoch } = answer;
    if (serverTimeMs !== undefined) store.heardServerTime(serverTimeMs);
    if (client !== undefined || claim.forked !== null) heardOfClient(client ?? {}, claim);
    if (epoch === undefined || epoch === claim.serverEpoch) return answer;
    if (claim.serverEpoch !== null) return (await this.tailSender.sendAll(epoch, claim.serverEpoch, options)) ?? answer;
    await store.serverEpoch.note(epoch, null).catch((error: unknown) => this.ports.report(error));
    return answer;
  }

  /** What was done is in the log of the device; the server is told another time. */
  private notTold(error: unknown): null {
    this.ports.report(error);
    return null;
  }

  /** No signing in helps a queue that has nothing to sign in with. */
  private withAdvice(answer: TransportAnswer): TransportAnswer {
    if (answer.kind !== 'unauthorized' || this.ports.getToken !== null) return answer;
    return { ...answer, error: { ...answer.error, hint: NO_AUTH } };
  }

  private queueNow(): Telemetry['queue'] {
    const { mutations } = this.ports.engine;
    const { counts, oldestPending } = mutations;
    const oldestAtMs = oldestPending?.createdAtMs ?? null;
    const waiting: WaitingTelemetry[] = [];
    for (const { phase, id, seq, type, createdAtMs } of mutations.all()) {
      if (waiting.length === WAITING_TOLD_MAX) break;
      if (phase.kind === 'waiting') waiting.push({ id, seq, type, createdAt: new Date(createdAtMs).toISOString() });
    }
    return {
      pending: counts.pending,
      failed: counts.failed,
      oldestAt: oldestAtMs === null ? null : new Date(oldestAtMs).toISOString(),
      waiting,
    };
  }

  /** Read anew when it took long: a tab that was frozen meanwhile would send upon what stood in the store long ago. */
  private async claim(headers: readonly MutationHeader[], signal: AbortSignal): Promise<Claim> {
    const { store, clock } = this.ports;
    for (;;) {
      const startedAtMs = clock.nowMs();
      const claim = await store.claim(headers);
      if (clock.nowMs() - startedAtMs <= CLAIM_MS_MAX || signal.aborted) return claim;
    }
  }

  /** Tells the server of the client that this one has taken the place of, although there is nothing to send. */
  async tellOfFork(): Promise<void> {
    const { store, transport, getToken, attemptTimeoutMs } = this.ports;
    const token = await this.token();
    const claim = await store.claim([]);
    // Closed or paused meanwhile, nothing more is begun.
    const { isStopped } = this.ports.engine.gates;
    if ((token === null && getToken !== null) || claim.forked === null || claim.isSignedOut || isStopped) return;
    const abort = new AbortController();
    const cancel = this.ports.alarms.after(attemptTimeoutMs, () => abort.abort(TIMED_OUT));
    const client = this.clientOf(claim, 0);
    const request = { protocol: PROTOCOL_VERSION, client, acknowledgedFloor: 0, mutations: [] };
    const answer = await transport.send(request, { token, signal: abort.signal });
    cancel();
    if (answer.kind === 'answered') this.ports.heardOfClient(answer.client ?? {}, claim);
    if (answer.kind === 'rateLimited') this.ports.dispatch(answer);
  }

  private clientOf({ clientId, lastSeq, forked }: Claim, sentCount: number): ApplyRequest['client'] {
    const { workspaceId, userId, queueName, engine } = this.ports;
    const unsentCount = Math.max(0, engine.mutations.counts.pending - sentCount);
    const about = { id: clientId, workspaceId, userId, queue: queueName, lastSeq, unsentCount };
    // Written by this same code; what the server does not understand of it, it ignores.
    return forked === null ? about : { ...about, forkedFrom: JSON.parse(forked) as ForkedFrom };
  }

  /** What this run has stored was checked then. */
  private refusalOf(header: MutationHeader, body: MutationBody): WireError | null {
    const { store, definitions } = this.ports;
    return header.seq <= store.openedAtSeq ? refusalOfStored(definitions, header, body) : null;
  }

  private belowUnreadable(floor: number): number {
    const seq = this.ports.firstUnreadableSeq();
    return seq === null ? floor : Math.min(floor, seq - 1);
  }

  /** Bodies that do not read are dead letters; but one whose header is gone as well was settled by another tab. */
  async giveUpUnreadable(seqs: readonly number[], error: WireError = UNREADABLE): Promise<void> {
    const { store } = this.ports;
    const pending = await store.arePending(seqs);
    const standing = seqs.filter((_, index) => pending[index]);
    // Found unreadable by whoever had an earlier header, it may have been rewritten since.
    const lost = error === UNREADABLE ? await store.unreadableAmong(standing) : standing;
    if (lost.length > 0) this.ports.dispatch({ kind: 'givenUp', seqs: lost, error });
    if (lost.length < seqs.length) this.ports.reconcile();
  }

  /**
   * The server forgets what the device has stored for good; a relaxed store may still lose its last commits with the power,
   * and a mutation that comes back so would be taken for one that was applied.
   */
  private floorOnDisk(floor: number): number {
    const { store, clock } = this.ports;
    if (store.durability !== 'relaxed') return floor;
    const nowMs = clock.nowMs();
    if (nowMs - this.nextFloor.atMs >= ON_DISK_AFTER_MS) {
      this.oldFloor = this.nextFloor.floor;
      this.nextFloor = { floor, atMs: nowMs };
    }
    return this.oldFloor;
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
  async freshToken(): Promise<string | null> {
    const { getToken, attemptTimeoutMs, alarms, report } = this.ports;
    const token = (getToken?.({ refresh: true }) ?? Promise.resolve(null)).catch((error: unknown) => {
      report(noTokenFetched(error));
      return null;
    });
    return (await alarms.within(attemptTimeoutMs, token)) ? token : null;
  }

  /** Cuts this batch off, or whichever is on its way; it is sent again later, and takes effect once. */
  callOff(batchId?: number): void {
    if (batchId === undefined || this.sending?.batchId === batchId) this.sending?.abort.abort(CALLED_OFF);
  }

  /** Resolves once nothing is on its way. */
  get whenDone(): Promise<void> {
    return this.sending?.done ?? Promise.resolve();
  }

  /** Resolves once nothing of this tab is on its way; after the given time it is cut off, which is safe: it is sent again. */
  async whenIdle(graceMs: number): Promise<void> {
    const { sending } = this;
    if (sending === null) return;
    const cancel = this.ports.alarms.after(graceMs, () => sending.abort.abort(CALLED_OFF));
    await sending.done;
    cancel();
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

const NO_AUTH = 'This queue was made without `auth`: give createQueue `auth: { getToken }`.';

const NO_TOKEN: WireError = {
  category: 'AUTH_ERROR',
  code: 'TOKEN_MISSING',
  message: 'There is no login to send under.',
  hint: 'Sign in again. What is stored on this device is kept.',
};

function noTokenFetched(cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'UNREACHABLE',
    message: `The app could not fetch a token: ${messageOf(cause)}.`,
    hint: 'Nothing to do: it is asked again. For "nobody is signed in", let `getToken` resolve to null.',
    cause,
  });
}

function toWireError(error: unknown): WireError {
  return toHoldfastError(error).toWire();
}
