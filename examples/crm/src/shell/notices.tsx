import { CloseButton, Paper, Text } from '@mantine/core';
import { isHoldfastError } from 'holdfast';
import { describeStage, useMutationStatus } from 'holdfast/react';
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import classes from './notices.module.css';

type Notice =
  | { readonly kind: 'mutation'; readonly key: number; readonly title: string; readonly mutationId: string }
  | { readonly kind: 'problem'; readonly key: number; readonly title: string; readonly detail: string };

interface Notices {
  /** Follows a change from this device to the server. */
  readonly follow: (title: string, mutationId: string) => void;
  /** Says what went wrong and what to do. */
  readonly showProblem: (title: string, error: unknown) => void;
}

const NoticesContext = createContext<Notices | null>(null);
/** What is confirmed, or safe on this device for now, needs no answer. */
const HIDE_CONFIRMED_MS = 3_000;
const HIDE_STORED_MS = 6_000;
const NOTICE_COUNT_MAX = 2;
let lastKey = 0;

export function useNotices(): Notices {
  const notices = useContext(NoticesContext);
  if (notices === null) throw new Error('useNotices: put the component inside <NoticeRegion>.');
  return notices;
}

export function NoticeRegion({ children }: { readonly children: ReactNode }): ReactNode {
  const [list, setList] = useState<readonly Notice[]>([]);
  const notices = useMemo<Notices>(() => {
    const add = (notice: Notice): void => setList((known) => [...known, notice].slice(-NOTICE_COUNT_MAX));
    return {
      follow: (title, mutationId) => add({ kind: 'mutation', key: ++lastKey, title, mutationId }),
      showProblem: (title, error) => add({ kind: 'problem', key: ++lastKey, title, detail: adviceOf(error) }),
    };
  }, []);
  const hide = useCallback((key: number) => setList((known) => known.filter((notice) => notice.key !== key)), []);
  return (
    <NoticesContext value={notices}>
      {children}
      <div className={classes.region} role="status" aria-live="polite">
        {list.map((notice) =>
          notice.kind === 'mutation' ? (
            <MutationNotice key={notice.key} notice={notice} onHide={hide} />
          ) : (
            <NoticeCard
              key={notice.key}
              tone="alert"
              title={notice.title}
              detail={notice.detail}
              onHide={() => hide(notice.key)}
            />
          ),
        )}
      </div>
    </NoticesContext>
  );
}

interface MutationNoticeProps {
  readonly notice: Extract<Notice, { kind: 'mutation' }>;
  readonly onHide: (key: number) => void;
}

function MutationNotice({ notice, onHide }: MutationNoticeProps): ReactNode {
  const status = useMutationStatus(notice.mutationId);
  const isFailed = status?.status === 'failed';
  const isSettled = status?.status === 'completed' || status?.status === 'cancelled';
  useEffect(() => {
    if (isFailed) return undefined;
    const timer = setTimeout(() => onHide(notice.key), isSettled ? HIDE_CONFIRMED_MS : HIDE_STORED_MS);
    return () => clearTimeout(timer);
  }, [isFailed, isSettled, notice.key, onHide]);
  const stage =
    status === undefined ? { tone: 'waiting' as const, text: 'Saved on this device' } : describeStage(status);
  const detail =
    status === undefined || isSettled
      ? null
      : [status.sentence, isFailed ? status.lastError?.hint : null].filter(Boolean).join(' ');
  return (
    <NoticeCard
      tone={stage.tone}
      title={`${notice.title}: ${stage.text}`}
      detail={detail}
      onHide={() => onHide(notice.key)}
    />
  );
}

interface NoticeCardProps {
  readonly tone: 'calm' | 'busy' | 'waiting' | 'alert';
  readonly title: string;
  readonly detail: string | null;
  readonly onHide: () => void;
}

function NoticeCard({ tone, title, detail, onHide }: NoticeCardProps): ReactNode {
  return (
    <Paper shadow="md" withBorder className={classes.card} data-tone={tone}>
      <div>
        <Text fw={600} size="sm">
          {title}
        </Text>
        {detail === null ? null : (
          <Text size="sm" className="soft">
            {detail}
          </Text>
        )}
      </div>
      <CloseButton aria-label="Dismiss" onClick={onHide} size="sm" />
    </Paper>
  );
}

function adviceOf(error: unknown): string {
  if (isHoldfastError(error)) return [error.message, error.hint].filter(Boolean).join(' ');
  return error instanceof Error ? error.message : String(error);
}
