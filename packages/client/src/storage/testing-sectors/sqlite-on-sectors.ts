import sqlite3InitModule from '@sqlite.org/sqlite-wasm';
import { sqliteWasmDriver, type SqliteWasmDatabase } from '../sqlite-drivers.ts';
import type { SqliteDriver } from '../sqlite-storage.ts';
import type { SectorDisk } from './sector-disk.ts';

/** As much of the engine as it takes to give it a file system (https://sqlite.org/wasm/doc/trunk/api-c-style.md). */
interface Engine {
  readonly config: { warn: () => void };
  readonly capi: {
    readonly sqlite3_vfs: new (pointer?: number) => Struct;
    readonly sqlite3_io_methods: new () => Struct;
    readonly sqlite3_file: (new (pointer: number) => Struct) & { readonly structInfo: { readonly sizeof: number } };
    sqlite3_vfs_find(name: null): number;
  };
  readonly wasm: {
    heap8u(): Uint8Array;
    poke32(at: number, value: number): void;
    poke64(at: number, value: bigint): void;
    poke(at: number, value: number, type: 'double'): void;
    allocCString(text: string): number;
    cstrToJs(pointer: number): string;
    cstrncpy(to: number, from: number, count: number): number;
  };
  readonly vfs: {
    installVfs(parts: {
      readonly io: { readonly struct: Struct; readonly methods: Methods };
      readonly vfs: { readonly struct: Struct; readonly methods: Methods };
    }): void;
  };
  readonly oo1: {
    readonly DB: new (options: { readonly filename: string; readonly vfs: string }) => SqliteWasmDatabase;
  };
}

interface Struct {
  readonly pointer: number;
  dispose(): void;
  [field: `$${string}`]: number;
}

/** Pointers, counts and offsets; offsets come as bigint. */
type Methods = Readonly<Record<string, (...args: never[]) => number>>;

const OK = 0;
const IOERR = 10;
const CANTOPEN = 14;
const NOTFOUND = 12;
const SHORT_READ = IOERR | (2 << 8);
const OPEN_CREATE = 0x4;

let vfsCount = 0;
let starting: Promise<Engine> | undefined;

/** Its own types do not tell of the file systems. */
async function start(): Promise<Engine> {
  const engine = (await sqlite3InitModule()) as unknown as Engine;
  // A disk without power is no news here.
  engine.config.warn = () => {};
  return engine;
}

/** SQLite itself, as WebAssembly, on this disk. Opens the database there; `pragmas` are run first. */
export async function sqliteOnSectors(disk: SectorDisk): Promise<(pragmas: readonly string[]) => SqliteDriver> {
  starting ??= start();
  const engine = await starting;
  vfsCount += 1;
  const name = `sectors-${vfsCount}`;
  install(engine, name, disk);
  return (pragmas) => {
    const database = new engine.oo1.DB({ filename: '/records.db', vfs: name });
    const driver = sqliteWasmDriver(database);
    for (const pragma of pragmas) void driver.query(pragma, []);
    return driver;
  };
}

function install({ capi, wasm, vfs }: Engine, name: string, disk: SectorDisk): void {
  const paths = new Map<number, string>();
  const pathOf = (file: number): string => paths.get(file) ?? '';
  const done = (isDone: boolean): number => (isDone ? OK : IOERR);
  const io = new capi.sqlite3_io_methods();
  io.$iVersion = 1;
  const struct = new capi.sqlite3_vfs();
  struct.$iVersion = 2;
  struct.$szOsFile = capi.sqlite3_file.structInfo.sizeof;
  struct.$mxPathname = 512;
  struct.$zName = wasm.allocCString(name);
  const standard = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null));
  struct.$xRandomness = standard.$xRandomness ?? 0;
  struct.$xSleep = standard.$xSleep ?? 0;
  standard.dispose();
  vfs.installVfs({
    io: {
      struct: io,
      methods: {
        xClose: (file: number) => {
          paths.delete(file);
          return OK;
        },
        xRead: (file: number, to: number, count: number, at: bigint) => {
          const bytes = disk.read(pathOf(file), Number(at), count);
          const target = wasm.heap8u().subarray(to, to + count);
          target.set(bytes);
          target.fill(0, bytes.length);
          if (!disk.isOn) return IOERR;
          return bytes.length < count ? SHORT_READ : OK;
        },
        xWrite: (file: number, from: number, count: number, at: bigint) =>
          done(disk.write(pathOf(file), Number(at), wasm.heap8u().slice(from, from + count))),
        xTruncate: (file: number, size: bigint) => done(disk.resize(pathOf(file), Number(size))),
        xSync: (file: number) => done(disk.flush(pathOf(file))),
        xFileSize: (file: number, to: number) => {
          wasm.poke64(to, BigInt(disk.sizeOf(pathOf(file))));
          return OK;
        },
        xLock: () => OK,
        xUnlock: () => OK,
        xCheckReservedLock: (_file: number, to: number) => {
          wasm.poke32(to, 0);
          return OK;
        },
        xFileControl: () => NOTFOUND,
        xSectorSize: () => 512,
        // Nothing that makes it easier.
        xDeviceCharacteristics: () => 0,
      },
    },
    vfs: {
      struct,
      methods: {
        xOpen: (_vfs: number, path: number, file: number, flags: number, toFlags: number) => {
          const text = path === 0 ? `/temporary-${file}` : wasm.cstrToJs(path);
          if (!disk.open(text, (flags & OPEN_CREATE) !== 0)) return CANTOPEN;
          paths.set(file, text);
          const opened = new capi.sqlite3_file(file);
          opened.$pMethods = io.pointer;
          opened.dispose();
          if (toFlags !== 0) wasm.poke32(toFlags, flags);
          return OK;
        },
        xDelete: (_vfs: number, path: number, isFolderFlushed: number) =>
          done(disk.remove(wasm.cstrToJs(path), isFolderFlushed !== 0)),
        xAccess: (_vfs: number, path: number, _flags: number, to: number) => {
          wasm.poke32(to, disk.exists(wasm.cstrToJs(path)) ? 1 : 0);
          return OK;
        },
        xFullPathname: (_vfs: number, path: number, count: number, to: number) =>
          wasm.cstrncpy(to, path, count) < count ? OK : CANTOPEN,
        xGetLastError: () => 0,
        xCurrentTime: (_vfs: number, to: number) => {
          wasm.poke(to, 2_461_000.5, 'double');
          return OK;
        },
        xCurrentTimeInt64: (_vfs: number, to: number) => {
          wasm.poke64(to, 212_630_443_200_000n);
          return OK;
        },
      },
    },
  });
}
