// Measures one size of one store, in this process, and tells it to the one that started it.
import { measureChromium, measureLibrary } from './chromium-world.ts';
import { measureCompression } from './measure-compression.ts';
import { measureStore } from './measure-store.ts';
import type { Measurement } from '../measurement.ts';
import { memoryWorld, sqliteWorld } from './node-worlds.ts';

const [world = '', size = '', names = ''] = process.argv.slice(2);
const measures = names.split(',');
const report = (measurement: Measurement): void => void process.send?.(measurement);
const stopped = (what: string): void => console.error(`${what}.`);

switch (world) {
  case 'compression':
    measureCompression(report);
    break;
  case 'memory':
    await measureStore(memoryWorld(), Number(size), measures, report);
    break;
  case 'sqlite': {
    const { world: sqlite, end } = sqliteWorld();
    await measureStore(sqlite, Number(size), measures, report);
    end();
    break;
  }
  case 'indexeddb':
  case 'opfs':
    await measureChromium(world, Number(size), measures, report);
    break;
  default:
    await measureLibrary(world, Number(size), { report, stopped });
}
process.disconnect();
