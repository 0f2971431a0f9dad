import type { DeliveryPolicy } from '../mutation/delivery-policy.ts';
import type { Entry } from './entry.ts';

export type CompletePolicy = Required<DeliveryPolicy>;

/** Under which conditions the device is now. */
export interface Conditions {
  readonly connection: 'wifi' | 'cellular' | 'ethernet' | 'unknown' | 'none';
  readonly appState: 'active' | 'background' | 'inactive';
}

/** What a decision depends on beside the policy. */
export interface PolicyFacts extends Conditions {
  readonly pendingCount: number;
  readonly pendingBytes: number;
  /** Of the oldest pending one, in milliseconds. */
  readonly oldestAgeMs: number;
  /** How long the server was out of reach until it was reached last, in milliseconds. */
  readonly outageMs: number;
  /** Since everything was last let go, in milliseconds. */
  readonly sinceReleaseMs: number;
}

/**
 * `send`: as long as it stays so. `sendAll`: all that waits now, whatever changes meanwhile. `hold`: looked at again after
 * this much time, and whenever a fact changes.
 */
export type PolicyDecision =
  | { readonly kind: 'send' }
  | { readonly kind: 'sendAll' }
  | { readonly kind: 'hold'; readonly waitMs: number };

/** The whole of a policy, as a table. */
export function decide(policy: CompletePolicy, facts: PolicyFacts): PolicyDecision {
  const { pendingBytes, oldestAgeMs, outageMs } = facts;
  const untilDueMs = policy.holdMsMax - oldestAgeMs;
  if (untilDueMs <= 0 || outageMs >= policy.holdMsMax) return { kind: 'sendAll' };
  if (policy.inBackground === 'hold' && facts.appState !== 'active') return { kind: 'hold', waitMs: untilDueMs };
  if (policy.wifiAboveBytes !== null && !isLikeWifi(facts)) {
    if (pendingBytes >= policy.anyNetworkFromBytes) return { kind: 'sendAll' };
    if (pendingBytes > policy.wifiAboveBytes) return { kind: 'hold', waitMs: untilDueMs };
  }
  return paced(policy, facts, untilDueMs);
}

function paced(policy: CompletePolicy, facts: PolicyFacts, untilDueMs: number): PolicyDecision {
  switch (policy.strategy) {
    case 'immediate':
      return { kind: 'send' };
    case 'batched': {
      const isFull = facts.pendingCount >= policy.batchCount || facts.pendingBytes >= policy.batchBytes;
      const waitMs = policy.batchDelayMs - facts.oldestAgeMs;
      return isFull || waitMs <= 0 ? { kind: 'sendAll' } : { kind: 'hold', waitMs: Math.min(waitMs, untilDueMs) };
    }
    case 'scheduled': {
      const waitMs = policy.intervalMs - facts.sinceReleaseMs;
      return waitMs <= 0 ? { kind: 'sendAll' } : { kind: 'hold', waitMs: Math.min(waitMs, untilDueMs) };
    }
  }
}

function isLikeWifi({ connection }: Conditions): boolean {
  return connection !== 'cellular';
}

interface Standing {
  /** All goes, as long as it stays so. */
  isOpen: boolean;
  /** Everything up to this number goes, whatever changes. */
  forGoodSeq: number;
  releasedAtMs: number;
  /** When it is looked at again (monotonic); null while it is open. */
  checkAtMs: number | null;
}

/** What the policies of an engine hold back, as it stands. With no policy it costs nothing. */
export class PolicyGate {
  conditions: Conditions = { connection: 'unknown', appState: 'active' };
  private readonly policyOf: (type: string) => CompletePolicy | null;
  private readonly standings = new Map<CompletePolicy, Standing>();
  private downSinceMs: number | null = null;

  constructor(policyOf: (type: string) => CompletePolicy | null) {
    this.policyOf = policyOf;
  }

  /** Whether its type's policy keeps it from being sent now. */
  holds({ type, seq }: Entry): boolean {
    const standing = this.standingOf(type);
    return standing !== null && !standing.isOpen && seq > standing.forGoodSeq;
  }

  /** When the policy that holds it back is looked at again (monotonic). */
  checkAtMs({ type }: Entry): number | null {
    return (this.standingOf(type) as Standing).checkAtMs;
  }

  /** Of all policies. */
  get nextCheckAtMs(): number | null {
    const times = [...this.standings.values()].flatMap(({ checkAtMs }) => checkAtMs ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Someone asks for all that waits now. */
  letGo(upToSeq: number): void {
    for (const standing of this.standings.values()) standing.forGoodSeq = Math.max(standing.forGoodSeq, upToSeq);
  }

  /** Looks at every policy anew; true when one of them may let more go than before. */
  update(
    facts: Pick<PolicyFacts, 'pendingCount' | 'pendingBytes' | 'oldestAgeMs'>,
    {
      highestSeq,
      isLineDown,
      nowMs,
    }: { readonly highestSeq: number; readonly isLineDown: boolean; readonly nowMs: number },
  ): boolean {
    const outageMs = this.endOfOutage(isLineDown, nowMs);
    let hasOpened = false;
    for (const [policy, standing] of this.standings) {
      const sinceReleaseMs = nowMs - standing.releasedAtMs;
      const decision = decide(policy, { ...facts, ...this.conditions, outageMs, sinceReleaseMs });
      const wasOpen = standing.isOpen;
      standing.isOpen = decision.kind === 'send';
      // Whole milliseconds: what is left of one may be less than a time can hold, and the alarm would ring at once, again and again.
      standing.checkAtMs = decision.kind === 'hold' ? nowMs + Math.ceil(decision.waitMs) : null;
      hasOpened ||= standing.isOpen && !wasOpen;
      if (decision.kind !== 'sendAll' || highestSeq <= standing.forGoodSeq) continue;
      standing.forGoodSeq = highestSeq;
      standing.releasedAtMs = nowMs;
      hasOpened = true;
    }
    return hasOpened;
  }

  /** How long the line was down, told once when it is up again; 0 at any other time. */
  private endOfOutage(isLineDown: boolean, nowMs: number): number {
    if (isLineDown) {
      this.downSinceMs ??= nowMs;
      return 0;
    }
    const outageMs = this.downSinceMs === null ? 0 : nowMs - this.downSinceMs;
    this.downSinceMs = null;
    return outageMs;
  }

  private standingOf(type: string): Standing | null {
    const policy = this.policyOf(type);
    if (policy === null) return null;
    const known = this.standings.get(policy);
    if (known !== undefined) return known;
    const standing = { isOpen: false, forGoodSeq: 0, releasedAtMs: Number.NEGATIVE_INFINITY, checkAtMs: 0 };
    this.standings.set(policy, standing);
    return standing;
  }
}
