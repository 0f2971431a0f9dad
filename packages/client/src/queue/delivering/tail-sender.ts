import type { RestAnswer, TransportAnswer } from '../../engine/transport-answer.ts';
import { NO_PARENT_ROW, parentFailed } from '../../engine/verdicts.ts';
import { lanesOf, type MutationHeader } from '../../mutation/record.ts';
import { type Secrets, secretsOf } from '../../mutation/sensitive.ts';
import {
  type ApplyRequest,
  LIMITS,
  PROTOCOL_VERSION,
  type WireError,
  type WireMutation,
  type WireOutcome,
} from '../../protocol/wire.ts';
import { retryRulesOf } from '../options.ts';
import type { Claim } from '../store/queue-store.ts';
import { redactAnswer } from './redact-answer.ts';
import type { SenderPorts } from './sender.ts';
import { toWire } from './to-wire.ts';
import { NOT_READ_NOW, Unreads } from '../store/unreads.ts';

export interface TailSenderPorts
  extends Pick<
    SenderPorts,
    'store' | 'engine' | 'clock' | 'transport' | 'definitions' | 'allStored' | 'heardOfClient' | 'forgottenFailed'
  > {
  readonly clientOf: (claim: Claim) => ApplyRequest['client'];
}

/** One that gets no answer alone may be the reason: so often it is tried more than one that is refused. */
const SILENCES_MAX = 10;

/**
 * Sends again what a server has confirmed that was restored since, or failed over to one that was behind: all that is kept of it,
 * in the order in which it took effect, before anything newer. The ids are those it had, so what the server still knows is
 * answered as a duplicate. Only when all of it is there again is the server's new epoch stored, so whoever dies on the way
 * begins anew.
 *
 * What is confirmed stays so meanwhile: it is the server that has gone back. What it does not take any more is a dead letter.
 */
export class TailSender {
  private readonly ports: TailSenderPorts;
  /** What is there again under this epoch. */
  private epoch = '';
  private readonly done = new Set<string>();
  /** By what they came to: silence on the line spends no attempt. */
  private readonly triesOf = { refused: new Map<string, number>(), silent: new Map<string, number>() };
  private triedCount = 0;
  private countMax: number = LIMITS.batchCount;
  private readonly unreads = new Unreads();

  constructor(ports: TailSenderPorts) {
    this.ports = ports;
  }

  /** What to tell of the batch that found it out: that it may go at once (`calledOff`), what the line said, or null for what it said. */
  async sendAll(
    epoch: string,
    before: string,
    options: { readonly token: string | null; readonly signal: AbortSignal },
  ): Promise<TransportAnswer | null> {
    const { store } = this.ports;
    // What was confirmed under the epoch before belongs to it.
    if (!(await this.ports.allStored())) return null;
    if (epoch !== this.epoch) this.begin(epoch);
    const tail = await store.tail.read();
    for (;;) {
      await this.giveUpOrphans(tail);
      const part = this.nextPart(tail.filter(({ id }) => !this.done.has(id)));
      if (part.length === 0) break;
      const claim = await store.claim(part);
      const { isStopped } = this.ports.engine.gates;
      if (options.signal.aborted || isStopped || claim.isPaused || claim.isSignedOut || !claim.isLeader) return null;
      const triedCount = this.triedCount;
      const answer = await this.send(part, claim, options);
      if (answer !== null) return answer;
      // It is tried again at the pace of the batch that found it out, which was deferred.
      if (this.triedCount > triedCount || !part.some(({ id }) => this.done.has(id))) return null;
    }
    const isStored = await store.serverEpoch.note(epoch, before);
    this.begin('');
    // Though not to this batch, the server has answered: the line is up, and the login good.
    return isStored ? { kind: 'answered', outcomes: [], rest: AGAIN } : null;
  }

  private begin(epoch: string): void {
    this.epoch = epoch;
    this.done.clear();
    this.triesOf.refused.clear();
    this.triesOf.silent.clear();
    this.countMax = LIMITS.batchCount;
  }

  /**
   * What fits into a batch. One that depends on another waits for the next, since the other may be refused for now; and so does one
   * behind a higher number of its lane, which `after` cannot name.
   */
  private nextPart(left: readonly MutationHeader[]): readonly MutationHeader[] {
    const part: MutationHeader[] = [];
    let bytes = 0;
    for (const header of left) {
      bytes += header.payloadBytes;
      const isRoom = part.length < this.countMax && (part.length === 0 || bytes <= LIMITS.batchBytes);
      const mustWait =
        (lastInLanes(part, header)?.seq ?? 0) > header.seq || part.some(({ id }) => header.dependsOn.includes(id));
      if (!isRoom || mustWait) break;
      part.push(header);
    }
    return part;
  }

  /** Null when the server has answered. */
  private async send(
    part: readonly MutationHeader[],
    claim: Claim,
    { token, signal }: { readonly token: string | null; readonly signal: AbortSignal },
  ): Promise<TransportAnswer | null> {
    const { store, transport, definitions, clock } = this.ports;
    const mutations: WireMutation[] = [];
    const sent: MutationHeader[] = [];
    const secrets = new Map<string, Secrets>();
    for (const header of part) {
      const body = claim.bodies.get(header.seq);
      const isUnread = body?.kind === 'unread' && this.unreads.noted([header.seq], clock.nowMs()).length === 0;
      // It may be read another time, and what is behind it waits for that.
      if (isUnread && mutations.length === 0) return { kind: 'unreachable', error: NOT_READ_NOW };
      if (isUnread) break;
      if (body?.kind === 'record') {
        const after = lastInLanes(sent, header)?.seq ?? null;
        // The row that it refers to may be made by one before it, which may be refused for now.
        const mayAwaitRow = sent.some(({ operation }) => operation === 'create');
        const hidden = secretsOf(definitions, header.type, body.record);
        if (hidden !== null) secrets.set(header.id, hidden);
        mutations.push(toWire({ header, after, ...(mayAwaitRow ? { awaitsCreation: true } : {}) }, body.record));
        sent.push(header);
      } else {
        // Its payload does not read, or can not be read any more: nothing can be sent of it.
        this.done.add(header.id);
      }
    }
    if (mutations.length === 0) return null;
    const request = {
      protocol: PROTOCOL_VERSION,
      client: this.ports.clientOf(claim),
      // The server's own may be lower than the client's by now: what is sent here must not pass for forgotten.
      acknowledgedFloor: 0,
      mutations,
      epoch: this.epoch,
    };
    const answer = redactAnswer(await transport.send(request, { token, signal }), secrets);
    if (answer.kind !== 'answered') return this.notAnswered(sent, answer);
    if (answer.serverTimeMs !== undefined) store.heardServerTime(answer.serverTimeMs);
    if (answer.client !== undefined) this.ports.heardOfClient(answer.client, claim);
    const outcomes = new Map(answer.outcomes.map((outcome) => [outcome.id, outcome]));
    const awaiting = new Set(mutations.flatMap(({ id, awaitsCreation }) => (awaitsCreation === true ? [id] : [])));
    for (const header of sent) {
      const outcome = outcomes.get(header.id);
      const awaitsRow = outcome?.kind === 'refused' && outcome.error.code === NO_PARENT_ROW && awaiting.has(header.id);
      if (!awaitsRow) await this.take(header, outcome);
    }
    return null;
  }

  private async notAnswered(sent: readonly MutationHeader[], answer: TransportAnswer): Promise<TransportAnswer | null> {
    const [only] = sent;
    if (answer.kind === 'batchRefused' || answer.kind === 'unknown' || answer.kind === 'unavailable')
      this.countMax = Math.max(1, Math.floor(sent.length / 2));
    if (answer.kind === 'batchRefused') {
      if (sent.length === 1 && only !== undefined) await this.giveUp(only, answer.error);
      // The batch that found it out is not the one that was refused.
      return sent.length === 1 ? null : AGAIN;
    }
    if (answer.kind === 'unknown' && sent.length === 1 && only !== undefined)
      await this.failedOnce(this.triesOf.silent, only, { error: answer.error, triesMax: SILENCES_MAX });
    return answer;
  }

  private async take(header: MutationHeader, outcome: WireOutcome | undefined): Promise<void> {
    switch (outcome?.kind) {
      case 'applied':
        this.done.add(header.id);
        return;
      case 'duplicate':
        if (outcome.verdict === 'applied') this.done.add(header.id);
        else await this.giveUp(header, outcome.error);
        return;
      case 'rejected':
      case 'conflict':
        await this.giveUp(header, outcome.error);
        return;
      case 'refused': {
        const { maxRetries } = retryRulesOf(this.ports.definitions.get(header.type));
        const triesMax = header.maxRetries ?? maxRetries;
        await this.failedOnce(this.triesOf.refused, header, { error: outcome.error, triesMax });
        return;
      }
      case 'deferred':
      case undefined:
        return;
    }
  }

  private async failedOnce(
    triesOf: Map<string, number>,
    header: MutationHeader,
    { error, triesMax }: { readonly error: WireError; readonly triesMax: number },
  ): Promise<void> {
    const tries = (triesOf.get(header.id) ?? 0) + 1;
    triesOf.set(header.id, tries);
    this.triedCount += 1;
    if (tries > triesMax) await this.giveUp(header, error);
  }

  /** What was confirmed on top of one that the server does not take again cannot stand either. */
  private async giveUpOrphans(tail: readonly MutationHeader[]): Promise<void> {
    const { mutations } = this.ports.engine;
    for (const header of tail) {
      const lost = header.dependsOn.find((id) => mutations.get(id)?.phase.kind === 'failed');
      if (lost !== undefined && !this.done.has(header.id)) await this.giveUp(header, parentFailed(lost));
    }
  }

  private async giveUp(header: MutationHeader, error: WireError): Promise<void> {
    const holdsLane = this.ports.engine.mutations.mayHoldLane(header.type);
    const deadLetter = { header, error, failedAtMs: this.ports.clock.wallMs(), holdsLane };
    if (await this.ports.store.settlements.forgottenFailed(deadLetter)) this.ports.forgottenFailed(deadLetter);
    this.done.add(header.id);
  }
}

/** The last of these in any lane of this one. */
function lastInLanes(before: readonly MutationHeader[], header: MutationHeader): MutationHeader | undefined {
  const lanes = lanesOf(header);
  return before.filter((each) => lanesOf(each).some((lane) => lanes.includes(lane))).at(-1);
}

/** It was not looked at, and may go now. */
const AGAIN: RestAnswer = {
  kind: 'calledOff',
  error: { category: 'NETWORK_ERROR', code: 'UNREACHABLE', message: 'The server was put back to an earlier state.' },
};
