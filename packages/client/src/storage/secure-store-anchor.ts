import { fingerprint } from '../mutation/fingerprint.ts';
import type { ClientAnchor } from '../ports/client-anchor.ts';

/** What of `expo-secure-store` is needed; a keychain by another library fits as well. */
export interface SecureStoreLike {
  getItemAsync(key: string): Promise<string | null>;
  setItemAsync(key: string, value: string): Promise<void>;
}

/** An anchor in the phone's keychain or keystore, which on iOS outlives even the app: `secureStoreAnchor(SecureStore)`. */
export function secureStoreAnchor(store: SecureStoreLike): ClientAnchor {
  // Keychains take letters, digits, dots, dashes and underscores.
  const keyOf = (name: string): string => `holdfast.${fingerprint(name)}`;
  return {
    read: (name) => store.getItemAsync(keyOf(name)),
    write: (name, value) => store.setItemAsync(keyOf(name), value),
  };
}
