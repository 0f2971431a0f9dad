import { LIMITS } from 'holdfast/protocol';
import { Refusal } from './refusal.ts';

/**
 * Reads a JSON body of at most `LIMITS.bodyBytes`, counting while it arrives: what is larger is never held whole, and
 * what its headers say about its length is not believed.
 *
 * @throws Refusal `BODY_TOO_LARGE`, or `INVALID_REQUEST` when it is not JSON in UTF-8.
 */
export async function readJsonBody(request: Request): Promise<unknown> {
  const contentType = request.headers.get('content-type') ?? '';
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new Refusal('INVALID_REQUEST', 'The body is not declared as JSON.', 'Send it as application/json.');
  }
  const encoding = (request.headers.get('content-encoding') ?? 'identity').toLowerCase();
  if (encoding !== 'identity' && encoding !== 'gzip') {
    throw new Refusal(
      'INVALID_REQUEST',
      `The body is compressed by "${encoding.slice(0, 20)}".`,
      'Send it as it is, or by gzip.',
    );
  }
  if (Number(request.headers.get('content-length') ?? 0) > LIMITS.bodyBytes) throw tooLarge();
  const bytes = await readBytes(encoding === 'gzip' ? unzip(request.body) : request.body);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Refusal('INVALID_REQUEST', 'The body is not JSON.', 'Send one JSON object in UTF-8.', error);
  }
}

/** What it unpacks to is counted by whoever reads it, so a bomb goes off no further than the limit. */
function unzip(body: ReadableStream<Uint8Array> | null): ReadableStream<Uint8Array> | null {
  // the two declarations of one stream differ in how a buffer may be shared
  return body?.pipeThrough(new DecompressionStream('gzip') as TransformStream<Uint8Array, Uint8Array>) ?? null;
}

async function readBytes(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  if (body !== null) {
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new Refusal(
          'INVALID_REQUEST',
          'The body cannot be unpacked.',
          'Send one JSON object, as it is or by gzip.',
          error,
        );
      });
      if (done) break;
      sizeBytes += value.byteLength;
      if (sizeBytes > LIMITS.bodyBytes) {
        await reader.cancel().catch(() => undefined);
        throw tooLarge();
      }
      chunks.push(value);
    }
  }
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function tooLarge(): Refusal {
  return new Refusal(
    'BODY_TOO_LARGE',
    `The request is larger than ${LIMITS.bodyBytes} bytes.`,
    'Send fewer changes at a time, or smaller ones.',
  );
}
