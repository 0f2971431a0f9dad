// SQLite itself, compiled to WebAssembly, in files of the browser that only this worker holds.
import sqlite3InitModule from '@sqlite.org/sqlite-wasm';
import { sqliteWasmDriver } from '../../sqlite-drivers.ts';
import { sqliteStorage } from '../../sqlite-storage.ts';
import { serveStorage } from '../browser-serve-storage.ts';

serveStorage(
  sqliteStorage({
    open: async (name) => {
      const sqlite3 = await sqlite3InitModule();
      const pool = await sqlite3.installOpfsSAHPoolVfs({ directory: `/sqlite-${encodeURIComponent(name)}` });
      const driver = sqliteWasmDriver(new pool.OpfsSAHPoolDb('/records.db'));
      return {
        ...driver,
        close: async () => {
          await driver.close();
          // Lets go of the files before the worker ends.
          pool.pauseVfs();
        },
      };
    },
  }),
);
