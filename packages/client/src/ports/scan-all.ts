import type { Entry, Storage } from './storage.ts';

const PAGE = 1_000;

/** All under a prefix, page by page; while others write, each page is of another moment. */
export async function* scanAll(storage: Storage, prefix: string): AsyncIterable<Entry> {
  for (let after: string | null = ''; after !== null; ) {
    const page: readonly Entry[] = await storage.scan({
      prefix,
      ...(after === '' ? {} : { after }),
      limit: PAGE,
    });
    yield* page;
    after = page.length === PAGE ? (page.at(-1)?.key ?? null) : null;
  }
}
