import { useEffect, useMemo, useRef, useState } from 'react';

/** Rows that are selected, by id. What is not in the list (any more) does not count. */
export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** These stay the same functions. */
  readonly acts: SelectionActs;
}

export interface SelectionActs {
  readonly toggle: (id: string) => void;
  /** Selects from the one that was toggled last to this one, in the order of the list. */
  readonly extendTo: (id: string) => void;
  /** All of the list, or none when all are. */
  readonly toggleAll: () => void;
  readonly clear: () => void;
}

type Rows = readonly { readonly id: string }[];

export function useSelection(rows: Rows): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set());
  const ids = useMemo(
    () => (chosen.size === 0 ? chosen : new Set(rows.filter(({ id }) => chosen.has(id)).map(({ id }) => id))),
    [rows, chosen],
  );
  const shown = useRef<{ rows: Rows; ids: ReadonlySet<string>; anchor: string | null }>({ rows, ids, anchor: null });
  useEffect(() => {
    shown.current = { ...shown.current, rows, ids };
  }, [rows, ids]);
  const acts = useMemo(
    (): SelectionActs => ({
      toggle: (id) => {
        const next = new Set(shown.current.ids);
        if (!next.delete(id)) next.add(id);
        shown.current.anchor = id;
        setChosen(next);
      },
      extendTo: (id) => {
        const { rows: all, ids: before, anchor } = shown.current;
        const places = [anchor ?? id, id].map((each) => all.findIndex((row) => row.id === each));
        const range = all.slice(Math.max(0, Math.min(...places)), Math.max(...places) + 1);
        shown.current.anchor = id;
        setChosen(new Set([...before, ...range.map((row) => row.id)]));
      },
      toggleAll: () => {
        const { rows: all, ids: before } = shown.current;
        setChosen(before.size === all.length ? new Set() : new Set(all.map(({ id }) => id)));
      },
      clear: () => setChosen(new Set()),
    }),
    [],
  );
  return useMemo(() => ({ ids, acts }), [ids, acts]);
}
