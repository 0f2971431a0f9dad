import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { ApplyRequest } from '../protocol/wire.ts';

/** Carries a batch to the server. Never rejects: whatever happens on the way is an answer. */
export interface Transport {
  send(
    request: ApplyRequest,
    options: { readonly token: string | null; readonly signal: AbortSignal },
  ): Promise<TransportAnswer>;
}
