import type { StoragePointer } from '../ports/storage-pointer.ts';

/** In `localStorage`, which the browser keeps apart from its databases. Null where there is none. */
export function browserPointer(): StoragePointer | null {
  if (!isThere()) return null;
  return {
    read(name) {
      try {
        return localStorage.getItem(name);
      } catch {
        return null;
      }
    },
    write(name, value) {
      try {
        localStorage.setItem(name, value);
      } catch {
        // Full, or forbidden: this tab goes on without, and the next one climbs the ladder for itself.
      }
    },
  };
}

/** Whether this is a page that may not use it. */
export function isLocalStorageDenied(): boolean {
  return typeof document !== 'undefined' && !isThere();
}

function isThere(): boolean {
  try {
    return typeof localStorage !== 'undefined';
  } catch {
    return false;
  }
}
