import { describe, test } from 'vitest';
import { storageContract } from '../storage/storage-contract.ts';
import { FakeClock } from './fake-clock.ts';
import { StorageSimulator } from './storage-simulator.ts';

describe.each([
  { name: 'at once', delayMs: 0 },
  { name: 'slow', delayMs: 20 },
])('the simulated disk, $name', ({ delayMs }) => {
  const simulator = new StorageSimulator({ clock: new FakeClock() });
  simulator.setSlow(delayMs);
  const cases = storageContract({
    open: simulator.open,
    capabilities: { durability: 'strict', keepsAfterClose: true, hasSeveralWriters: true },
  });
  for (const { name, skip, run } of cases) test.skipIf(skip !== null)(name, run);
});
