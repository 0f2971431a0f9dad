import { describe, expect, test } from 'vitest';
import type { TransportAnswer } from '../engine/transport-answer.ts';
import type { Transport } from '../ports/transport.ts';
import type { ApplyRequest, WireError, WireMutation, WireOutcome } from '../protocol/wire.ts';
import { routeTransport } from './route-transport.ts';

const ERROR: WireError = { category: 'SERVER_ERROR', code: 'X', message: 'x' };
const options = { token: 't', signal: new AbortController().signal };

function request(
  ...mutations: readonly { readonly seq: number; readonly type: string; readonly after?: number }[]
): ApplyRequest {
  const wire = mutations.map(
    ({ seq, type, after }): WireMutation => ({
      id: `m${seq}`,
      seq,
      after: after ?? null,
      generation: 0,
      type,
      version: 1,
      operation: 'custom',
      entity: null,
      payload: {},
      createdAt: '2026-01-01T00:00:00.000Z',
    }),
  );
  return { protocol: 1, client: { id: 'c', workspaceId: 'w' }, acknowledgedFloor: 3, mutations: wire };
}

class NotingTransport implements Transport {
  readonly requests: ApplyRequest[] = [];
  answer: TransportAnswer | 'applied' = 'applied';

  async send(sent: ApplyRequest): Promise<TransportAnswer> {
    this.requests.push(sent);
    if (this.answer !== 'applied') return this.answer;
    return {
      kind: 'answered',
      outcomes: sent.mutations.map(({ seq, id }): WireOutcome => ({ seq, id, kind: 'applied', result: null })),
    };
  }
}

function rig() {
  const mail = new NotingTransport();
  const main = new NotingTransport();
  return { mail, main, transport: routeTransport({ byType: { 'mail.send': mail }, otherwise: main }) };
}
const seqsOf = ({ requests }: NotingTransport): number[][] =>
  requests.map(({ mutations }) => mutations.map(({ seq }) => seq));
const mixed = request({ seq: 4, type: 'note.save' }, { seq: 5, type: 'mail.send' }, { seq: 6, type: 'toString' });

describe('ways', () => {
  test('R9 · each mutation goes the way of its type, one call a way, and all outcomes come back', async () => {
    const { mail, main, transport } = rig();
    expect(await transport.send(mixed, options)).toMatchObject({
      kind: 'answered',
      outcomes: [{ seq: 4 }, { seq: 6 }, { seq: 5 }],
    });
    expect([seqsOf(main), seqsOf(mail)]).toEqual([[[4, 6]], [[5]]]);
    expect(main.requests[0]).toMatchObject({ acknowledgedFloor: 3, client: { id: 'c' } });
  });

  test('R9 · a heartbeat goes to the server that takes the rest', async () => {
    const { mail, main, transport } = rig();
    await transport.send(request(), options);
    expect([main.requests.length, mail.requests.length]).toEqual([1, 0]);
  });

  test('Q7, R9 · no server is told to wait for a mutation that went another way', async () => {
    const { main, transport } = rig();
    await transport.send(request({ seq: 1, type: 'mail.send' }), options);
    await transport.send(request({ seq: 2, type: 'note.save', after: 1 }), options);
    await transport.send(request({ seq: 3, type: 'note.save', after: 2 }), options);
    expect(main.requests.map(({ mutations }) => mutations[0]?.after)).toEqual([null, 2]);
  });
});

test('R9 · only so many numbers are remembered for a way; what is forgotten is not waited for', async () => {
  const { main, transport } = rig();
  const many = Array.from({ length: 10_001 }, (_, index) => ({ seq: index + 1, type: 'note.save' }));
  await transport.send(request(...many), options);
  await transport.send(
    request({ seq: 20_001, type: 'note.save', after: 1 }, { seq: 20_002, type: 'note.save', after: 2 }),
    options,
  );
  expect(main.requests[1]?.mutations.map(({ after }) => after)).toEqual([null, 2]);
});

describe('when one way fails', () => {
  test.each(['unreachable', 'unknown'] as const)(
    'R8, R9 · %s: the other stands, and what failed is put off',
    async (kind) => {
      const { mail, transport } = rig();
      mail.answer = { kind, error: ERROR };
      expect(await transport.send(mixed, options)).toMatchObject({
        kind: 'answered',
        outcomes: [
          { seq: 4, kind: 'applied' },
          { seq: 6, kind: 'applied' },
          { seq: 5, kind: 'deferred' },
        ],
      });
    },
  );

  test.each([
    { kind: 'unauthorized', error: ERROR },
    { kind: 'forbidden', error: ERROR },
    { kind: 'upgradeRequired', error: ERROR },
    { kind: 'rateLimited', error: ERROR, retryAfterMs: 5_000 },
  ] as const)('R9 · $kind is told beside the outcomes of the other', async (answer) => {
    const { mail, transport } = rig();
    mail.answer = answer;
    expect(await transport.send(mixed, options)).toMatchObject({
      kind: 'answered',
      outcomes: [{ seq: 4 }, { seq: 6 }],
      rest: answer,
    });
  });

  test('R9 · a batch that one server refuses is made smaller, and one that is refused alone is rejected', async () => {
    const { main, mail, transport } = rig();
    main.answer = { kind: 'batchRefused', error: ERROR };
    expect(await transport.send(mixed, options)).toMatchObject({
      outcomes: [{ seq: 5, kind: 'applied' }],
      rest: { kind: 'batchRefused' },
    });
    main.answer = 'applied';
    mail.answer = { kind: 'batchRefused', error: ERROR };
    const answer = await transport.send(mixed, options);
    expect(answer).toMatchObject({ outcomes: [{ seq: 4 }, { seq: 6 }, { seq: 5, kind: 'rejected', error: ERROR }] });
    expect(answer).not.toHaveProperty('rest');
  });

  test('R4, R9 · when all ways fail, the line does', async () => {
    const { main, mail, transport } = rig();
    main.answer = { kind: 'unavailable', error: ERROR, retryAfterMs: 2_000 };
    mail.answer = { kind: 'unreachable', error: ERROR };
    expect(await transport.send(mixed, options)).toEqual(main.answer);
  });

  test('R3, R9 · of two limits the tighter is told', async () => {
    const { main, mail, transport } = rig();
    main.answer = {
      kind: 'answered',
      outcomes: [{ seq: 4, id: 'm4', kind: 'deferred' }],
      pace: { remaining: 9, resetMs: 90_000 },
    };
    mail.answer = {
      kind: 'answered',
      outcomes: [{ seq: 5, id: 'm5', kind: 'deferred' }],
      pace: { remaining: 0, resetMs: 1_000 },
    };
    expect(await transport.send(mixed, options)).toMatchObject({ pace: { remaining: 0, resetMs: 1_000 } });
  });
});

test('S14 · what any of the servers says of this client is heard; being behind comes before all', async () => {
  const { mail, main, transport } = rig();
  const lost = { lost: { clientId: 'former', reason: 'wiped', unsentCount: 2 } } as const;
  const behind = { behind: { reason: 'behind', highSeq: 9 } } as const;
  const batch = request({ seq: 1, type: 'mail.send' }, { seq: 2, type: 'other' });
  mail.answer = { kind: 'answered', outcomes: [], client: lost };
  expect(await transport.send(batch, options)).toMatchObject({ client: lost });

  main.answer = { kind: 'answered', outcomes: [], client: behind };

  expect(await transport.send(batch, options)).toMatchObject({ client: behind });
});
