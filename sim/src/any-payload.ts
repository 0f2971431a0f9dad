import type { PayloadSchema } from 'holdfast';

/** Takes every payload as it comes: what schemas refuse is tested elsewhere. */
export function anyPayload<Payload extends object>(): PayloadSchema & {
  readonly '~standard': { readonly types?: { readonly input: Payload; readonly output: Payload } };
} {
  return { '~standard': { version: 1, vendor: 'holdfast-sim', validate: (value) => ({ value: value as Payload }) } };
}
