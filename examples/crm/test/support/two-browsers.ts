import { afterAll, beforeAll } from 'vitest';
import { makeProfile, startBrowser, type TestBrowser } from './browser.ts';
import { openWorld, type World } from './world.ts';

/** A world with two browsers of two people, for all tests of a file. What it holds is there once the tests run. */
export function withTwoBrowsers(): { readonly world: World; readonly mine: TestBrowser; readonly other: TestBrowser } {
  const opened: { world?: World; mine?: TestBrowser; other?: TestBrowser } = {};
  let profiles: readonly Awaited<ReturnType<typeof makeProfile>>[] = [];
  beforeAll(async () => {
    opened.world = await openWorld();
    profiles = [await makeProfile(), await makeProfile()];
    opened.mine = await startBrowser(profiles[0]?.folder ?? '');
    opened.other = await startBrowser(profiles[1]?.folder ?? '');
  });
  afterAll(async () => {
    await Promise.all([opened.mine?.close(), opened.other?.close()]);
    for (const profile of profiles) await profile.remove();
    await opened.world?.close();
  });
  return {
    get world() {
      return there(opened.world);
    },
    get mine() {
      return there(opened.mine);
    },
    get other() {
      return there(opened.other);
    },
  };
}

function there<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw new Error('It is opened before the tests run, not while they are defined.');
  return thing;
}
