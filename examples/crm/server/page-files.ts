import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';

interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  /** Null where compressing does not pay. */
  readonly gzipped: Uint8Array<ArrayBuffer> | null;
  readonly type: string;
  readonly etag: string;
  readonly cacheControl: string;
}

/** The built page, by path from its root (`/assets/index-….js`). */
export type PageFiles = ReadonlyMap<string, PageFile>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
};
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  // the component library sets sizes and colours in style attributes and elements
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "object-src 'none'",
].join('; ');

/** Reads the built page into memory, compressed once. Empty when the page is not built. */
export function readPageFiles(folder: string): PageFiles {
  const files = new Map<string, PageFile>();
  for (const path of listFiles(folder)) {
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const body = Uint8Array.from(readFileSync(path));
    const gzipped = type === 'image/png' ? null : Uint8Array.from(gzipSync(body, { level: 9 }));
    const name = `/${relative(folder, path).split(sep).join('/')}`;
    files.set(name, {
      body,
      gzipped: gzipped !== null && gzipped.byteLength < body.byteLength * 0.9 ? gzipped : null,
      type,
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      // the build puts a hash of their content into the names of these
      cacheControl: name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
  }
  return files;
}

/** Answers with the file of that path; any other path without a dot in its last part is a screen of the page. */
export function servePage(context: Context, files: PageFiles): Response {
  const { path } = context.req;
  const file = files.get(path) ?? (isFileName(path) ? undefined : files.get('/index.html'));
  if (file === undefined) {
    const isUnbuilt = files.size === 0;
    return context.text(isUnbuilt ? 'The page is not built: run npm run build.' : 'There is no such page.', 404);
  }
  const headers: Record<string, string> = {
    'cache-control': file.cacheControl,
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'content-type': file.type,
    etag: file.etag,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    vary: 'accept-encoding',
  };
  if (context.req.header('if-none-match') === file.etag) return context.body(null, 304, headers);
  const isGzipWelcome = context.req.header('accept-encoding')?.includes('gzip') === true;
  if (file.gzipped === null || !isGzipWelcome) return context.body(file.body, 200, headers);
  return context.body(file.gzipped, 200, { ...headers, 'content-encoding': 'gzip' });
}

function listFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

function isFileName(path: string): boolean {
  return path.slice(path.lastIndexOf('/')).includes('.');
}
