import type { AnyMutationDefinition } from '../mutation/definition.ts';
import type { UndeclaredMutation } from '../mutation/undeclared.ts';
import { MutationQueue } from './mutation-queue.ts';
import type { QueueOptions } from './options.ts';

/**
 * Opens the queue of one login on this device, and begins to deliver what is stored. Returns at once; `add` and the
 * others wait for the store to be open. Throws `INVALID_OPTION` for options that cannot work.
 *
 * ```ts
 * const queue = createQueue({
 *   name: 'crm',
 *   identity: { userId, workspaceId },
 *   mutations: [renameAccount],
 *   transport: httpTransport({ url: '/v1/apply' }),
 *   auth: { getToken },
 * });
 * const { settled } = await queue.add({ type: 'account.rename', payload: { id, name } }); // now it is safe
 * ```
 */
export function createQueue<const Definitions extends readonly AnyMutationDefinition[]>(
  options: QueueOptions<Definitions> & { readonly undeclared: 'allow' },
): MutationQueue<readonly [...Definitions, UndeclaredMutation]>;
export function createQueue<const Definitions extends readonly AnyMutationDefinition[]>(
  options: QueueOptions<Definitions>,
): MutationQueue<Definitions>;
export function createQueue(options: QueueOptions<readonly AnyMutationDefinition[]>): MutationQueue {
  return new MutationQueue(options);
}
