import { useEffect, useRef, useState } from 'react';
import type { AuditExport, AuditExportQuery, AuditSource } from '../../ports/audit-source.ts';
import { toHoldfastError } from '../../mutation/holdfast-error.ts';
import { adviceOf } from '../advice-of.ts';

/** How an export is doing. */
export type AuditExportState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly byteCount: number }
  | { readonly kind: 'done'; readonly fileName: string }
  | { readonly kind: 'failed'; readonly text: string };

interface UseAuditExport {
  readonly state: AuditExportState;
  readonly run: (query: AuditExportQuery) => void;
  readonly cancel: () => void;
}

/** Exports logs as a file, with progress and a way to stop it; it is stopped with the component. */
export function useAuditExport(
  exportAuditLogs: NonNullable<AuditSource['exportAuditLogs']>,
  saveFile: (file: AuditExport) => void,
): UseAuditExport {
  const [state, setState] = useState<AuditExportState>({ kind: 'idle' });
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const run = async (query: AuditExportQuery): Promise<void> => {
    running.current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    const show = (next: AuditExportState): void => {
      if (!signal.aborted) setState(next);
    };
    show({ kind: 'running', byteCount: 0 });
    try {
      const file = await exportAuditLogs(query, {
        signal,
        onBytes: (byteCount) => show({ kind: 'running', byteCount }),
      });
      if (!signal.aborted) saveFile(file);
      show({ kind: 'done', fileName: file.fileName });
    } catch (error) {
      const { category } = toHoldfastError(error);
      const isOffline = category === 'NETWORK_ERROR';
      show({ kind: 'failed', text: isOffline ? 'the server cannot be reached now.' : adviceOf(error) });
    }
  };
  return {
    state,
    run: (query) => void run(query),
    cancel: () => {
      running.current?.abort();
      setState({ kind: 'idle' });
    },
  };
}
