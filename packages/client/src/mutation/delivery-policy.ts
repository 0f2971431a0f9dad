/**
 * When what waits may be sent, over and above "as soon as it can be". Plain data; what is left out does not hold anything
 * back. Whatever it says, everything goes after `holdMsMax`, when the user asks (`process()`), or with high priority.
 */
export interface DeliveryPolicy {
  /**
   * `immediate`: at once. `batched`: when `batchCount` or `batchBytes` wait, or the oldest has waited `batchDelayMs`.
   * `scheduled`: every `intervalMs`.
   * @default 'immediate'
   */
  readonly strategy?: 'immediate' | 'batched' | 'scheduled';
  /** For `batched`. @default 100 */
  readonly batchCount?: number;
  /** For `batched`, in bytes of payload. @default 262_144 */
  readonly batchBytes?: number;
  /** For `batched`, in milliseconds. @default 60_000 */
  readonly batchDelayMs?: number;
  /** For `scheduled`, in milliseconds. @default 900_000 */
  readonly intervalMs?: number;
  /** More than this waits for Wi-Fi or a cable, in bytes of payload; `null` sends over any network. A network of unknown type counts as Wi-Fi. @default null */
  readonly wifiAboveBytes?: number | null;
  /** From this on it is sent over any network, in bytes of payload. @default 1_000_000 */
  readonly anyNetworkFromBytes?: number;
  /** Whether it goes on while the app is not before its user. @default 'send' */
  readonly inBackground?: 'send' | 'hold';
  /** Nothing is held back longer than this, in milliseconds; nor after the server was out of reach for as long. @default 86_400_000 */
  readonly holdMsMax?: number;
}

/** Policies by name. */
export type DeliveryPolicyName = 'immediate' | 'wifiPreferred';

export const DELIVERY_POLICIES: Readonly<Record<DeliveryPolicyName, DeliveryPolicy>> = {
  immediate: {},
  wifiPreferred: { wifiAboveBytes: 262_144, anyNetworkFromBytes: 1_000_000 },
};

const POLICY_DEFAULTS: Required<DeliveryPolicy> = {
  strategy: 'immediate',
  batchCount: 100,
  batchBytes: 262_144,
  batchDelayMs: 60_000,
  intervalMs: 900_000,
  wifiAboveBytes: null,
  anyNetworkFromBytes: 1_000_000,
  inBackground: 'send',
  holdMsMax: 86_400_000,
};

/** The policy with nothing left open; null where it holds nothing back. */
export function completePolicy(
  policy: DeliveryPolicy | DeliveryPolicyName | undefined,
): Required<DeliveryPolicy> | null {
  const given = typeof policy === 'string' ? DELIVERY_POLICIES[policy] : policy;
  const complete = { ...POLICY_DEFAULTS, ...given };
  const { strategy, wifiAboveBytes, inBackground } = complete;
  return strategy === 'immediate' && wifiAboveBytes === null && inBackground === 'send' ? null : complete;
}

/** What of a policy makes no sense, as a sentence; null when all of it does. */
export function complaintAboutPolicy(policy: unknown): string | null {
  if (typeof policy === 'string') return policy in DELIVERY_POLICIES ? null : `there is no policy named ${policy}`;
  if (typeof policy !== 'object' || policy === null) return 'it is neither a name nor an object';
  const given = { ...POLICY_DEFAULTS, ...policy };
  if (!['immediate', 'batched', 'scheduled'].includes(given.strategy)) return `there is no strategy ${given.strategy}`;
  if (!['send', 'hold'].includes(given.inBackground)) return '`inBackground` is neither send nor hold';
  for (const name of ['batchCount', 'batchBytes', 'batchDelayMs', 'intervalMs', 'anyNetworkFromBytes'] as const) {
    if (!(given[name] > 0)) return `\`${name}\` is not above 0`;
  }
  if (given.wifiAboveBytes !== null && !(given.wifiAboveBytes >= 0)) return '`wifiAboveBytes` is below 0';
  return given.holdMsMax > 0 && given.holdMsMax <= POLICY_DEFAULTS.holdMsMax
    ? null
    : '`holdMsMax` is not between 0 and 24 hours';
}
