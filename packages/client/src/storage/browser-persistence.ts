import type { Persistence } from '../ports/persistence.ts';

/** `navigator.storage`; where there is none of it, nothing can be said. */
export const browserPersistence: Persistence = {
  isPersisted: () => ask((manager) => manager.persisted()),
  request: () => ask((manager) => manager.persist()),
};

async function ask(question: (manager: StorageManager) => Promise<boolean>): Promise<boolean | null> {
  // Outside browsers there is none, and some platforms have no `navigator` either.
  const { storage } = (globalThis.navigator as Partial<Navigator> | undefined) ?? {};
  if (storage === undefined) return null;
  try {
    return await question(storage);
  } catch {
    // Not in this context.
    return null;
  }
}
