import type { SecureStore } from '../storage/system-secure-store-keys.ts';

/** A phone's secure store in memory, as `expo-secure-store` gives it to `secureStoreSecrets`, `secureStoreKeys` and `secureStoreAnchor`. */
export class SecureStoreSimulator implements SecureStore {
  /** What stands in it, by name. */
  readonly items: Map<string, string> = new Map();
  /** Locked with the phone: nothing can be read, written or deleted. */
  isLocked = false;

  async getItemAsync(name: string): Promise<string | null> {
    this.check(name);
    return this.items.get(name) ?? null;
  }

  async setItemAsync(name: string, value: string): Promise<void> {
    this.check(name);
    if (new TextEncoder().encode(value).length > VALUE_BYTES) throw new Error('The value is larger than 2048 bytes.');
    this.items.set(name, value);
  }

  async deleteItemAsync(name: string): Promise<void> {
    this.check(name);
    this.items.delete(name);
  }

  private check(name: string): void {
    if (!/^[\w.-]+$/.test(name)) throw new Error(`Invalid key ${name}`);
    if (this.isLocked) throw new Error('User interaction is not allowed.');
  }
}

const VALUE_BYTES = 2_048;
