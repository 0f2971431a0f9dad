import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatHybridTime, nextHybridTime, parseHybridTime } from './hybrid-time.ts';

const NODE = '01920000-0000-7000-8000-000000000001';
const OTHER = '01920000-0000-7000-8000-000000000002';
const NOW_MS = 1_764_000_000_000;
const TEN_YEARS_MS = 315_576_000_000;

describe('hybrid time', () => {
  test('C1 · a time is a text that says when, which in that millisecond, and who', () => {
    const first = nextHybridTime(null, NOW_MS, NODE);
    expect(first).toBe('019ab697e800-0000-01920000-0000-7000-8000-000000000001');
    expect(nextHybridTime(first, NOW_MS, NODE)).toBe('019ab697e800-0001-01920000-0000-7000-8000-000000000001');
    expect(parseHybridTime(first)).toEqual({ wallMs: NOW_MS, counter: 0, node: NODE });
  });

  test('C1 · a clock that jumps ten years either way never makes a later edit older on the same device', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -TEN_YEARS_MS, max: TEN_YEARS_MS }), { maxLength: 200 }), (offsets) => {
        let last: string | null = null;
        for (const offsetMs of offsets) {
          const next = nextHybridTime(last, NOW_MS + offsetMs, NODE);
          if (last !== null) expect(next > last).toBe(true);
          last = next;
        }
      }),
    );
  });

  test('C1 · the order of the texts is the order of the times', () => {
    const time = fc.record({
      wallMs: fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
      counter: fc.integer({ min: 0, max: 0xffff }),
      node: fc.constantFrom(NODE, OTHER),
    });
    fc.assert(
      fc.property(time, time, (left, right) => {
        const byParts =
          left.wallMs - right.wallMs ||
          left.counter - right.counter ||
          (left.node < right.node ? -1 : left.node === right.node ? 0 : 1);
        const [leftText, rightText] = [formatHybridTime(left), formatHybridTime(right)];
        expect(Math.sign(byParts)).toBe(leftText < rightText ? -1 : leftText === rightText ? 0 : 1);
        expect(parseHybridTime(leftText)).toEqual(left);
      }),
    );
  });

  test('C1 · more edits in one millisecond than the counter holds carry over into the next', () => {
    const full = formatHybridTime({ wallMs: NOW_MS, counter: 0xffff, node: NODE });
    const next = nextHybridTime(full, NOW_MS, NODE);
    expect(next > full).toBe(true);
    expect(parseHybridTime(next)).toEqual({ wallMs: NOW_MS + 1, counter: 0, node: NODE });
  });

  test.each(['', 'x', '019ab697e800', '019AB697E800-0000-a', '019ab697e800-0000-', '019ab697e800-00000-a'])(
    'C1 · %j is no hybrid time',
    (text) => expect(parseHybridTime(text)).toBeNull(),
  );
});
