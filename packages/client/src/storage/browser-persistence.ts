import type { Persistence } from '../ports/persistence.ts';

/** `navigator.storage`; where there is none of it, nothing can be said. */
export const browserPersistence: Persistence = {
  isPersisted: () => ask((manager) => manager.persisted()),
  request: () => ask((manager) => manager.persist()),
};

async function ask(question: (manager: StorageManager) => Promise<boolean>): Promise<boolean | null> {
  try {
    return await question(navigator.storage);
  } catch {
    // Not there, or not in this context.
    return null;
  }
}
