import { useEffect, useState } from 'react';
import { createResourceManager, type ResourceManager } from './resource-manager.ts';

/** Resources that are given back when the component goes, the newest first; what is added later is given back at once. */
export function useResourceManager(): ResourceManager {
  const [manager] = useState(() => createResourceManager(reportFailure));
  useEffect(() => {
    // React may take the same component away and put it back.
    manager.reopen();
    return () => manager.disposeAll();
  }, [manager]);
  return manager;
}

/** Servers and phones have no `reportError`. */
function reportFailure(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}
