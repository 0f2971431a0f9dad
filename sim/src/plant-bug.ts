import { Buffer } from 'node:buffer';
import { registerHooks } from 'node:module';
import type { Plant } from './plant.ts';
import { CRASHING_PLANTS } from './plants/crashing.ts';
import { PLANTS } from './plants.ts';

/**
 * Rewrites one place of a source file as it is loaded, so that production code knows nothing of planted bugs. Must be
 * called before anything imports the file. Throws when there is no such plant; loading the file throws when its text is
 * not there exactly once, since the code has then moved on and the plant must follow.
 */
export function plantBug(name: string): void {
  const plant = plantNamed(name);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/${plant.file}`)) return loaded;
      const text =
        typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString('utf8');
      const parts = text.split(plant.find);
      if (parts.length !== 2)
        throw new Error(`The text of the plant ${name} is ${parts.length - 1} times in ${plant.file}.`);
      return { ...loaded, source: parts.join(plant.replace) };
    },
  });
}

/** Throws when there is no such plant. */
export function plantNamed(name: string): Plant {
  const all = [...PLANTS, ...CRASHING_PLANTS];
  const plant = all.find((each) => each.name === name);
  if (plant === undefined)
    throw new Error(`No plant is called ${name}. There are: ${all.map((each) => each.name).join(', ')}.`);
  return plant;
}
