import { useMemo, useState } from 'react';

/** Rows that are selected, by id. What is not in the list (any more) does not count. */
export interface Selection {
  readonly ids: ReadonlySet<string>;
  readonly toggle: (id: string) => void;
  /** Selects from the one that was toggled last to this one, in the order of the list. */
  readonly extendTo: (id: string) => void;
  /** All of the list, or none when all are. */
  readonly toggleAll: () => void;
  readonly clear: () => void;
}

export function useSelection(rows: readonly { readonly id: string }[]): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set());
  const [anchor, setAnchor] = useState<string | null>(null);
  const ids = useMemo(
    () => (chosen.size === 0 ? chosen : new Set(rows.filter(({ id }) => chosen.has(id)).map(({ id }) => id))),
    [rows, chosen],
  );
  return useMemo(
    () => ({
      ids,
      toggle: (id) => {
        const next = new Set(ids);
        if (!next.delete(id)) next.add(id);
        setChosen(next);
        setAnchor(id);
      },
      extendTo: (id) => {
        const [from, to] = [anchor ?? id, id].map((each) => rows.findIndex((row) => row.id === each)) as [
          number,
          number,
        ];
        const range = rows.slice(Math.max(0, Math.min(from, to)), Math.max(from, to) + 1);
        setChosen(new Set([...ids, ...range.map((row) => row.id)]));
        setAnchor(id);
      },
      toggleAll: () => setChosen(ids.size === rows.length ? new Set() : new Set(rows.map(({ id }) => id))),
      clear: () => setChosen(new Set()),
    }),
    [ids, rows, anchor],
  );
}
