import { type ReactNode, useState } from 'react';
import type { AuditExport, AuditFilter, AuditSource } from '../../ports/audit-source.ts';
import type { AuditEntry } from '../../protocol/audit.ts';
import { systemClock } from '../../ports/system-clock.ts';
import { adviceOf } from '../advice-of.ts';
import { type AnyQueue, useQueue } from '../queue-context.ts';
import { useAuditLogs, useAuditSource } from '../use-audit-logs.ts';
import { AuditEntryView, type AuditWords } from './audit-entry-view.tsx';
import {
  ANY,
  AuditFilters,
  type AuditForm,
  type AuditOption,
  filterOf,
  isBackwards,
  midnight,
} from './audit-filters.tsx';
import { saveFile as saveDownload } from './browser-save-file.ts';
import { LongList } from './long-list.tsx';
import { useAuditExport } from './use-audit-export.ts';

/** Up to so many entries are all in the page, which then finds and prints them. */
const WHOLE_COUNT_MAX = 200;
const ENTRY_PX = 100;

export interface AuditLogViewerProps extends AuditWords {
  /** @default that of the queue's login */
  readonly workspaceId?: string;
  /** What is looked at in any case, such as one row; people choose among that. @default all */
  readonly filter?: Pick<AuditFilter, 'entityType' | 'entityId'>;
  /** Whether people may filter and export. @default true unless it is about one row */
  readonly hasFilters?: boolean;
  /** Tables to choose among. @default typed by name */
  readonly entityTypes?: readonly AuditOption[];
  /** People to choose among. @default typed by id */
  readonly actors?: readonly AuditOption[];
  /** Entries of a page. @default 50 */
  readonly limit?: number;
  /** @default the provider's `audit` */
  readonly source?: AuditSource;
  /** @default the provider's */
  readonly queue?: AnyQueue;
  /** What becomes of an exported file. @default the browser's download */
  readonly saveFile?: (file: AuditExport) => void;
  /** @default 'Audit log' */
  readonly title?: string;
  readonly className?: string;
}

/**
 * Who changed what, when, and from what to what: the audit log, newest first and live, page by page, with filters, and exports of its
 * days as CSV and JSON. Of more than 200 entries only those in sight exist, so that tens of thousands scroll as well.
 */
export function AuditLogViewer({
  workspaceId,
  filter = {},
  hasFilters = filter.entityId === undefined,
  entityTypes,
  actors,
  limit = 50,
  source,
  queue,
  saveFile = saveDownload,
  title = 'Audit log',
  className = '',
  ...words
}: AuditLogViewerProps): ReactNode {
  const found = useQueue(queue);
  const reads = useAuditSource(source);
  const [form, setForm] = useState(ANY);
  const { entries, isAwaited, hasMore, error, loadMore, refresh } = useAuditLogs(
    workspaceId ?? found.identity.workspaceId,
    { ...filterOf(form), ...filter },
    { limit, source: reads, queue: found },
  );
  const { exportAuditLogs } = reads;
  const showEntry = (entry: AuditEntry): ReactNode => (
    <AuditEntryView key={entry.id} entry={entry} isEntityShown={filter.entityId === undefined} {...words} />
  );

  return (
    <section className={`holdfast-panel ${className}`} aria-label={title} aria-busy={isAwaited}>
      <header className="holdfast-panel-head">
        <h2 className="holdfast-panel-title">{title}</h2>
        {hasFilters && exportAuditLogs !== undefined ? (
          <ExportActions exportAuditLogs={exportAuditLogs} form={form} saveFile={saveFile} />
        ) : null}
      </header>
      {hasFilters ? <AuditFilters form={form} onForm={setForm} entityTypes={entityTypes} actors={actors} /> : null}
      {error === null ? null : (
        <div className="holdfast-notice" role="alert">
          <p className="holdfast-notice-text">
            {error.category === 'NETWORK_ERROR'
              ? 'The log is on the server, which cannot be reached now. It is read when the connection is back.'
              : `The log could not be read: ${adviceOf(error)}`}
          </p>
          <button type="button" className="holdfast-button" onClick={refresh}>
            Try again
          </button>
        </div>
      )}
      {entries.length > WHOLE_COUNT_MAX ? (
        <LongList rows={entries} rowPx={ENTRY_PX} className="holdfast-audit-entries">
          {showEntry}
        </LongList>
      ) : (
        <div className="holdfast-audit-entries">{entries.map(showEntry)}</div>
      )}
      <p className="holdfast-empty" role="status">
        {isAwaited ? 'Reading the log…' : entries.length > 0 || error !== null ? '' : nothing(form)}
      </p>
      {hasMore ? (
        <div className="holdfast-item-actions">
          <button type="button" className="holdfast-button" aria-disabled={isAwaited} onClick={loadMore}>
            Show older entries
          </button>
        </div>
      ) : null}
    </section>
  );
}

function nothing(form: AuditForm): string {
  if (isBackwards(form)) return 'The day of “From” is after that of “To”. Choose an earlier “From” or a later “To”.';
  const isFiltered = Object.values(form).some((value) => value !== '');
  return isFiltered ? 'No entry matches. Clear the filters to see all.' : 'There is no change yet that you may see.';
}

interface ExportActionsProps {
  readonly exportAuditLogs: NonNullable<AuditSource['exportAuditLogs']>;
  readonly form: AuditForm;
  readonly saveFile: (file: AuditExport) => void;
}

/** Without days of one's own, as long as the log is kept unless someone says otherwise. */
const EXPORT_DAYS = 90;
const DAY_MS = 86_400_000;

function ExportActions({ exportAuditLogs, form, saveFile }: ExportActionsProps): ReactNode {
  const { state, run, cancel } = useAuditExport(exportAuditLogs, saveFile);
  const start = (format: 'csv' | 'json'): void => {
    if (isBackwards(form)) return;
    const now = systemClock.wallMs();
    run({
      startDate: form.fromDay === '' ? new Date(now - EXPORT_DAYS * DAY_MS).toISOString() : midnight(form.fromDay),
      endDate: form.toDay === '' ? new Date(now + DAY_MS).toISOString() : midnight(form.toDay, 1),
      format,
    });
  };
  return (
    <div className="holdfast-item-actions" role="group" aria-label="Export all logs of these days">
      <span className="holdfast-item-reason" role={state.kind === 'failed' ? 'alert' : 'status'}>
        {textOf(state)}
      </span>
      {state.kind === 'running' ? (
        <>
          <span className="holdfast-item-reason">{(state.byteCount / 1e6).toFixed(1)} MB</span>
          <button type="button" className="holdfast-button" onClick={cancel}>
            Stop
          </button>
        </>
      ) : (
        <>
          <button
            type="button"
            className="holdfast-button"
            aria-disabled={isBackwards(form)}
            onClick={() => start('csv')}
          >
            Export CSV
          </button>
          <button
            type="button"
            className="holdfast-button"
            aria-disabled={isBackwards(form)}
            onClick={() => start('json')}
          >
            Export JSON
          </button>
        </>
      )}
    </div>
  );
}

function textOf(state: ReturnType<typeof useAuditExport>['state']): string {
  // How much it is by now stands beside it: announced, it would be read out without an end.
  if (state.kind === 'running') return 'Exporting…';
  if (state.kind === 'done') return `Saved ${state.fileName}`;
  return state.kind === 'failed' ? `Not exported: ${state.text}` : '';
}
