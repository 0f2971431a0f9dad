import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { LIMITS } from 'holdfast/protocol';
import { expect, test } from 'vitest';
import { createTokenVerifier } from './auth.ts';
import { createDoor, type DoorOptions } from './door.ts';
import { createRateLimit } from './rate-limit.ts';
import { Refusal } from './refusal.ts';
import { describeOnPostgres } from './testing-databases/test-databases.ts';
import { createDevice, type TestDevice } from './testing-databases/test-device.ts';
import { TEST_SECRET, testToken } from './testing-databases/test-token.ts';

test('P9 · a user who asks too often is told how long to wait, and is heard again after that; others are not held up', () => {
  let nowMs = 0;
  const count = createRateLimit({ requestsPerMinute: 60 }, () => nowMs);
  const ask = (user: string): number | null => {
    try {
      count(user);
      return null;
    } catch (error) {
      if (error instanceof Refusal) return error.retryAfterSeconds;
      throw error;
    }
  };

  // a burst of ten seconds' worth, then one a second
  expect(Array.from({ length: 12 }, () => ask('ada'))).toEqual([...Array.from({ length: 10 }, () => null), 1, 1]);
  expect(ask('bob')).toBeNull();
  nowMs += 1_000;
  expect([ask('ada'), ask('ada')]).toEqual([null, 1]);
  nowMs += 3_600_000;
  expect(Array.from({ length: 11 }, () => ask('ada')).filter((waitSeconds) => waitSeconds === null)).toHaveLength(10);
});

test('P9 · the first request is heard whatever the clock reads, with a minute between two as well', () => {
  for (const nowMs of [0.1, 116_818.874, 215_407.057, 252_383.089, 130_419.406]) {
    for (const requestsPerMinute of [1, 3, 6]) {
      const count = createRateLimit({ requestsPerMinute }, () => nowMs);
      expect(() => count('ada')).not.toThrow();
    }
  }
});

describeOnPostgres((world) => {
  test('P9 · over the rate: 429 with Retry-After, and nothing is stored', async () => {
    const device = createDevice(world.database);
    const door = open({ rateLimit: { requestsPerMinute: 1 } });
    expect((await post(door, device)).status).toBe(200);

    const answer = await post(door, device);

    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await answer.json()).toMatchObject({ error: { code: 'TOO_MANY_REQUESTS', category: 'RATE_LIMITED' } });
    const rpc = await door.request('/rest/v1/rpc/apply', {
      method: 'POST',
      headers: { ...(await headers(device)), 'content-profile': 'holdfast' },
      body: '{"batch": {}}',
    });
    expect(rpc.status).toBe(429);
  });

  test('P9 · with as much in work as it can bear, the next is told to come again, and what was taken is finished', async () => {
    const device = createDevice(world.database);
    const door = open({ inFlightCountMax: 1 });
    const held = await world.database.transaction(async (holder) => {
      await holder.query(`select pg_advisory_xact_lock(1)`);
      await holder.query('lock table holdfast.clients in access exclusive mode');
      // signed before, so that the first to be sent is the first to arrive
      const [first, next] = [await headers(device), await headers(device)];
      const taken = post(door, device, batch(device), first);
      const second = await post(door, device, batch(device), next);
      expect(second.status).toBe(503);
      expect(second.headers.get('retry-after')).toBe('2');
      expect(await second.json()).toMatchObject({ error: { code: 'SERVER_UNAVAILABLE' } });
      expect((await door.request('/v1/health')).status).toBe(200);
      return { taken };
    });
    expect((await held.taken).status).toBe(200);
    expect((await post(door, device)).status).toBe(200);
  });

  test('P9 · one user has so many requests in work and no more, and others are not held up, however slowly bodies come', async () => {
    const [ada, bob] = [createDevice(world.database), createDevice(world.database)];
    const door = open({ inFlightCountMax: 3, inFlightCountPerUserMax: 2 });
    const own = await headers(ada);
    const slow = Array.from({ length: 2 }, () => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const request = new Request('http://x/v1/apply', {
        method: 'POST',
        headers: own,
        body: readable,
        duplex: 'half',
      });
      return { answer: door.request(request), writer: writable.getWriter() };
    });
    // each is known by its user once its body is being read
    await Promise.all(slow.map(({ writer }) => writer.write(new TextEncoder().encode(' '))));

    const third = await post(door, ada);
    expect(third.status).toBe(429);
    expect(third.headers.get('retry-after')).toBe('2');
    expect(await third.json()).toMatchObject({ error: { code: 'TOO_MANY_REQUESTS' } });
    expect((await post(door, bob)).status).toBe(200);
    await slow[0]?.writer.abort(new Error('gone'));
    expect((await slow[0]?.answer)?.status).toBe(400);
    expect((await post(door, ada)).status).toBe(200);
    await slow[1]?.writer.close();
    expect((await slow[1]?.answer)?.status).toBe(400);
  });

  test('P9 · a body may be compressed, and a bomb goes off no further than the limit', async () => {
    const device = createDevice(world.database);
    const door = open();
    const send = (body: Uint8Array<ArrayBuffer>, encoding = 'gzip') =>
      headers(device).then((own) =>
        door.request('/v1/apply', { method: 'POST', headers: { ...own, 'content-encoding': encoding }, body }),
      );

    const zipped = await send(Uint8Array.from(gzipSync(JSON.stringify(batch(device)))));
    expect(await zipped.json()).toMatchObject({ outcomes: [{ kind: 'applied' }] });

    // 300 MB in 300 KB
    const bomb = Uint8Array.from(gzipSync(Buffer.alloc(300_000_000, ' ')));
    const before = process.memoryUsage().rss;
    expect((await send(bomb)).status).toBe(413);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
    expect((await send(new TextEncoder().encode('not zipped'))).status).toBe(400);
    expect((await send(new TextEncoder().encode('{}'), 'br')).status).toBe(400);
  });

  test.each([-1, 0, 1])('P9 · a body of the limit %i bytes is taken up to the limit', async (beyond) => {
    const device = createDevice(world.database);
    const text = JSON.stringify({ ...batch(device), mutations: [] });
    const body = text + ' '.repeat(LIMITS.bodyBytes + beyond - text.length);
    const answer = await open().request('/v1/apply', { method: 'POST', headers: await headers(device), body });
    expect(answer.status).toBe(beyond <= 0 ? 200 : 413);
  });

  test.each([-1, 0, 1])('P9 · a payload nested the limit %i deep is taken up to the limit', async (beyond) => {
    const device = createDevice(world.database);
    let tags: unknown = 1;
    for (let depth = 1; depth < LIMITS.jsonDepth + beyond; depth += 1) tags = [tags];
    const answer = await post(open(), device, {
      ...batch(device),
      mutations: [device.next({ payload: { name: 'n', tags } as never })],
    });
    expect(await answer.json()).toMatchObject({ outcomes: [{ kind: beyond <= 0 ? 'applied' : 'rejected' }] });
  });

  test('P4 · a token signed by a key of the set is believed; one by another key, or by a public key as if it were the secret, is not', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const stranger = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    const sign = (key: Parameters<SignJWT['sign']>[0], kid = 'k1') =>
      new SignJWT({ role: 'authenticated', workspace_id: 'w' })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setSubject('ada')
        .setExpirationTime('1h')
        .sign(key);
    const verify = createTokenVerifier({ jwks: { keys: [jwk] } });
    const both = createTokenVerifier({ jwks: { keys: [jwk] }, secret: TEST_SECRET });

    expect(await verify(`Bearer ${await sign(privateKey)}`)).toMatchObject({ sub: 'ada', workspace_id: 'w' });
    expect(await both(`Bearer ${await sign(privateKey)}`)).toMatchObject({ sub: 'ada' });
    expect(await both(`Bearer ${await testToken('w')}`)).toMatchObject({ sub: 'ada' });
    const forged = await new SignJWT({ role: 'authenticated' })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .setSubject('ada')
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(JSON.stringify(jwk)));
    for (const token of [await sign(stranger.privateKey), await sign(privateKey, 'k2'), await testToken('w'), forged]) {
      await expect(verify(`Bearer ${token}`)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    }
    expect(() => createTokenVerifier({})).toThrow('auth needs one of secret, jwksUrl and jwks.');
  });

  test.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'])(
    'P4 · a token signed by %s with a key that is published at an address is believed, and the address is asked once',
    async (alg) => {
      const { publicKey, privateKey } = await generateKeyPair(alg);
      const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg }] };
      let askedCount = 0;
      const server = createServer((_, response) => {
        askedCount += 1;
        response.setHeader('content-type', 'application/json').end(JSON.stringify(keys));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        const { port } = server.address() as AddressInfo;
        const verify = createTokenVerifier({ jwksUrl: `http://127.0.0.1:${port}/jwks.json` });
        const sign = (role: string) =>
          new SignJWT({ role, workspace_id: 'w' })
            .setProtectedHeader({ alg, kid: 'k1' })
            .setSubject('ada')
            .setExpirationTime('1h')
            .sign(privateKey);
        for (let time = 0; time < 3; time += 1) {
          expect(await verify(`Bearer ${await sign('authenticated')}`)).toMatchObject({
            sub: 'ada',
            workspace_id: 'w',
          });
        }
        for (const role of ['service_role', 'anon', 'holdfast_owner', 'postgres']) {
          await expect(verify(`Bearer ${await sign(role)}`)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
        }
        expect(askedCount).toBe(1);
      } finally {
        server.close();
      }
    },
  );

  test('P4 · with the keys out of reach, nobody is sent away for good', async () => {
    const verify = createTokenVerifier({ jwksUrl: 'http://127.0.0.1:9/jwks.json' });
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({ role: 'authenticated' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setSubject('ada')
      .setExpirationTime('1h')
      .sign(privateKey);
    await expect(verify(`Bearer ${token}`)).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' });
  });

  function open(options: Partial<DoorOptions> = {}) {
    return createDoor({ database: world.database, auth: { secret: TEST_SECRET }, ...options });
  }

  async function post(
    door: ReturnType<typeof open>,
    device: TestDevice,
    body: object = batch(device),
    own?: Record<string, string>,
  ): Promise<Response> {
    return door.request('/v1/apply', {
      method: 'POST',
      headers: own ?? (await headers(device)),
      body: JSON.stringify(body),
    });
  }
});

async function headers(device: TestDevice): Promise<Record<string, string>> {
  return {
    'content-type': 'application/json',
    authorization: `Bearer ${await testToken(device.workspaceId, device.claims.sub)}`,
  };
}

function batch(device: TestDevice) {
  return {
    protocol: 1,
    client: { id: device.clientId, workspaceId: device.workspaceId },
    acknowledgedFloor: 0,
    mutations: [device.next()],
  };
}
