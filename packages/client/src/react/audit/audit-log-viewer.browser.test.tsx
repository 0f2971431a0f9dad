import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HoldfastError } from '../../mutation/holdfast-error.ts';
import type { AuditExport, AuditExportQuery, AuditPageQuery, AuditSource } from '../../ports/audit-source.ts';
import type { AuditEntry } from '../../protocol/audit.ts';
import { HoldfastProvider } from '../holdfast-provider.tsx';
import { openAccounts } from '../testing-accounts/accounts.ts';
import { expectAccessibleInBothThemes } from '../testing-page/axe.ts';
import { AuditLogViewer, type AuditLogViewerProps } from './audit-log-viewer.tsx';

afterEach(cleanup);

const COUNT = 120;
/** The whole log, oldest first: every third one is a creation, the others are edits, by two people. */
const LOG: readonly AuditEntry[] = Array.from({ length: COUNT }, (_, index) => {
  const isNew = index % 3 === 0;
  return {
    id: String(index + 1),
    occurredAt: new Date(Date.UTC(2026, 0, 1 + Math.floor(index / 4), index % 4)).toISOString(),
    actor: index % 2 === 0 ? 'ada' : 'bob',
    action: isNew ? 'create' : 'update',
    entityType: 'accounts',
    entityId: String(index),
    oldValues: isNew ? null : { name: `Old ${index}`, city: null },
    newValues: isNew ? { name: `New ${index}`, city: null, seen: 1 } : { name: `New ${index}`, city: 'Oslo' },
    changedFields: isNew ? null : ['city', 'name'],
    mutationId: null,
    clientId: null,
    ip: null,
    userAgent: null,
  };
});

/** A log that filters and pages as the server does, and can be out of reach. */
function openLog() {
  const asked: AuditPageQuery[] = [];
  const exports: { query: AuditExportQuery; signal: AbortSignal; end: (file: AuditExport) => void }[] = [];
  const log = { asked, exports, isDown: false };
  const source: AuditSource = {
    readPage: async (query) => {
      asked.push(query);
      if (log.isDown)
        throw new HoldfastError({
          code: 'UNREACHABLE',
          message: 'Failed to fetch',
          hint: 'Nothing to do: it is sent again.',
        });
      const found = LOG.filter(
        ({ id, action, actor, entityType, entityId, occurredAt }) =>
          (query.action ?? action) === action &&
          (query.actor ?? actor) === actor &&
          (query.entityType ?? entityType) === entityType &&
          (query.entityId ?? entityId) === entityId &&
          occurredAt >= String(query.startDate ?? '') &&
          (query.endDate === undefined || occurredAt < String(query.endDate)) &&
          (query.before === null || Number(id) < Number(query.before)),
      ).toReversed();
      const entries = found.slice(0, query.limit);
      return { entries, nextBefore: found.length > query.limit ? (entries.at(-1)?.id ?? null) : null };
    },
    exportAuditLogs: (query, { signal, onBytes }) =>
      new Promise((end, reject) => {
        onBytes?.(1_500_000);
        exports.push({ query, signal, end });
        signal.addEventListener('abort', () => reject(new DOMException('Stopped.', 'AbortError')));
      }),
  };
  return Object.assign(log, { source });
}

async function open(props: Partial<AuditLogViewerProps> = {}) {
  const app = await openAccounts();
  const log = openLog();
  const saved: AuditExport[] = [];
  const view = (
    <StrictMode>
      <HoldfastProvider queue={app.queue} audit={log.source}>
        <AuditLogViewer saveFile={(file) => saved.push(file)} {...props} />
      </HoldfastProvider>
    </StrictMode>
  );
  return { app, log, saved, show: (container = document.body) => act(async () => void render(view, { container })) };
}

const press = (name: string) => act(async () => screen.getByRole('button', { name }).click());
const rows = () => screen.queryAllByRole('article');
const choose = (label: string, value: string) =>
  act(async () => {
    const field = screen.getByLabelText(label);
    fireEvent.change(field, { target: { value } });
    fireEvent.blur(field);
  });

describe('the audit log on the screen', () => {
  it('E8 · who changed what stands field by field, page by page, and axe finds nothing serious in either theme', async () => {
    const { show, log } = await open({
      describeActor: (actor) => ({ ada: 'Ada Lovelace', bob: 'Bob' })[actor ?? ''],
      hiddenFields: ['seen'],
    });
    await show();
    expect(rows()).toHaveLength(50);
    const [newest] = rows();
    expect(within(newest as HTMLElement).getByText('Changed').parentElement?.textContent).toBe('Changed by Bob');
    expect(
      within(newest as HTMLElement)
        .getAllByRole('row')
        .map(({ textContent }) => textContent),
    ).toEqual(['FieldBeforebecameAfter', 'city–→Oslo', 'nameOld 119→New 119']);
    expect(rows()[2]?.textContent).toContain('1 field');
    await expectAccessibleInBothThemes();

    await press('Show older entries');
    await press('Show older entries');
    expect(rows()).toHaveLength(COUNT);
    expect(screen.queryByRole('button', { name: 'Show older entries' })).toBeNull();
    expect(log.asked.at(-1)).toMatchObject({ workspaceId: 'test-workspace', before: '21' });
  });

  it('E8 · it is filtered by table, row, action, person and days, says when nothing matches, and shows all again', async () => {
    const { show, log } = await open({
      actors: [{ id: 'ada', name: 'Ada' }],
      entityTypes: [{ id: 'accounts', name: 'Accounts' }],
    });
    await show();
    expect(screen.getByLabelText('Row (id)')).toHaveProperty('disabled', true);
    await choose('Action', 'create');
    await choose('By', 'ada');
    expect(rows()).toHaveLength(20);
    await choose('Table', 'accounts');
    await choose('Row (id)', '6');
    expect(rows()).toHaveLength(1);
    await choose('From', '2026-02-01');
    await choose('To', '2026-02-02');
    expect(log.asked.at(-1)).toMatchObject({
      entityType: 'accounts',
      entityId: '6',
      action: 'create',
      actor: 'ada',
      startDate: new Date('2026-02-01T00:00:00').toISOString(),
      endDate: new Date('2026-02-03T00:00:00').toISOString(),
    });
    expect(screen.getByText('No entry matches. Clear the filters to see all.')).toBeDefined();
    await press('Clear filters');
    expect(rows()).toHaveLength(50);
  });

  it('E8 · Enter takes what was typed into a filter, and the keyboard stays in it', async () => {
    const { show, log } = await open();
    await show();
    const field = screen.getByLabelText('Table');
    field.focus();
    await act(async () => {
      fireEvent.change(field, { target: { value: 'accounts' } });
      fireEvent.keyDown(field, { key: 'Enter' });
    });

    expect(log.asked.at(-1)).toMatchObject({ entityType: 'accounts' });
    expect(document.activeElement).toBe(screen.getByLabelText('Table'));
    await press('Clear filters');
    expect(screen.getByLabelText('Table')).toHaveProperty('value', '');
  });

  it.each([
    ['page', null],
    ['box around it', 'height: 500px; overflow-y: auto'],
  ])('E8 · of thousands of entries only those in sight exist, wherever one scrolls in the %s', async (_, style) => {
    const entries = Array.from({ length: 3_000 }, (_row, index) => ({
      ...(LOG[index % COUNT] as AuditEntry),
      id: String(5_000 - index),
      entityId: `row ${index}`,
    }));
    const source: AuditSource = { readPage: async () => ({ entries, nextBefore: null }) };
    const { show } = await open({ source, limit: 3_000 });
    const box = document.body.appendChild(document.createElement('div'));
    box.style.cssText = style ?? '';
    await show(box);
    const scroller = style === null ? (document.scrollingElement as Element) : box;
    const isInSight = (text: string): boolean => {
      const { top = -1 } = screen.queryByText(text)?.getBoundingClientRect() ?? {};
      return top >= 0 && top < innerHeight;
    };
    expect(isInSight('accounts row 0')).toBe(true);
    for (const [share, first, last] of [
      [0.5, 1_000, 2_000],
      [1, 2_980, 2_999],
    ] as const) {
      await vi.waitFor(async () => {
        await act(async () => {
          scroller.scrollTop = share * (scroller.scrollHeight - scroller.clientHeight);
          await new Promise(requestAnimationFrame);
        });
        const seen = rows().findIndex((row) => row.getBoundingClientRect().top >= 0);
        const at = Number(
          rows()[seen]?.querySelector('.holdfast-audit-entity')?.textContent.slice('accounts row '.length),
        );
        expect(at).toBeGreaterThanOrEqual(first);
        expect(at).toBeLessThanOrEqual(last);
        expect(isInSight('accounts row 2999')).toBe(share === 1);
      }, 20_000);
      expect(rows().length).toBeLessThan(100);
    }
  });

  it('E8 · out of reach it says why and keeps what was read; tried again, it goes on', async () => {
    const { show, log } = await open();
    log.isDown = true;
    await show();
    expect(screen.getByRole('alert').textContent).toContain('It is read when the connection is back.');
    expect(screen.queryByText('There is no change yet that you may see.')).toBeNull();
    log.isDown = false;
    await press('Try again');
    expect(screen.queryByRole('alert')).toBeNull();
    expect(rows()).toHaveLength(50);
  });

  it('E8 · days the wrong way round are said to be so, and nothing of them is exported', async () => {
    const { show, log } = await open();
    await show();
    await choose('From', '2026-02-05');
    await choose('To', '2026-02-01');

    expect(rows()).toHaveLength(0);
    expect(screen.getByText(/The day of “From” is after that of “To”/).getAttribute('role')).toBe('status');
    await press('Export CSV');
    await press('Export JSON');
    expect(log.exports).toEqual([]);
    expect(screen.getByRole('button', { name: 'Export CSV' }).getAttribute('aria-disabled')).toBe('true');

    await choose('To', '2026-02-05');
    expect(screen.queryByText(/The day of/)).toBeNull();
    await press('Export CSV');
    expect(log.exports).toHaveLength(1);
  });

  it('E8, P7 · the logs of the chosen days are saved as a file, with progress, and an export can be stopped', async () => {
    const { show, log, saved } = await open();
    await show();
    await choose('From', '2026-01-05');
    await choose('To', '2026-01-06');
    await press('Export CSV');
    expect(screen.getByText('Exporting…').getAttribute('role')).toBe('status');
    expect(screen.getByText('1.5 MB').getAttribute('role')).toBeNull();
    await press('Stop');
    expect(log.exports[0]?.signal.aborted).toBe(true);
    expect(saved).toEqual([]);

    await press('Export JSON');
    expect(log.exports[1]?.query).toEqual({
      startDate: new Date('2026-01-05T00:00:00').toISOString(),
      endDate: new Date('2026-01-07T00:00:00').toISOString(),
      format: 'json',
    });
    const file = { fileName: 'audit-logs.json', content: new Blob(['{}']) };
    await act(async () => log.exports[1]?.end(file));
    expect(saved).toEqual([file]);
    expect(screen.getByText('Saved audit-logs.json')).toBeDefined();
  });

  it('E8 · about one row it is only the history of that row', async () => {
    const { show } = await open({ filter: { entityType: 'accounts', entityId: '5' }, title: 'History' });
    await show();
    expect(rows().map(({ textContent }) => textContent)).toEqual([expect.stringContaining('Changed by bob')]);
    expect(screen.queryByRole('search')).toBeNull();
    expect(screen.queryByRole('button', { name: 'Export CSV' })).toBeNull();
  });
});
