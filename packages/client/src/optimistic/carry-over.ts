/** Names a row among others of its list. */
export type RowId = (row: object) => unknown;

/**
 * The confirmed data after the app has set data of its own, which it made from what was shown: what it left as it was shown stays what
 * was confirmed, and only what it changed is confirmed from now on. So what is pending can still be taken back exactly.
 *
 * Rows of lists are told by their id, fields of objects by their name; anything else is taken as the app set it.
 */
export function carryOver(base: unknown, shown: unknown, next: unknown, idOf: RowId = ownId): unknown {
  if (Object.is(next, shown)) return base;
  if (Array.isArray(base) && Array.isArray(shown) && Array.isArray(next)) return inList(base, shown, next, idOf);
  if (isPlain(base) && isPlain(shown) && isPlain(next)) return inFields(base, shown, next, idOf);
  return next;
}

type Fields = Readonly<Record<string, unknown>>;

function inFields(base: Fields, shown: Fields, next: Fields, idOf: RowId): Fields {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(next)) {
    if (!Object.hasOwn(shown, name)) fields[name] = value;
    else if (Object.hasOwn(base, name)) fields[name] = carryOver(base[name], shown[name], value, idOf);
    // What only what is pending has brought is not confirmed, unless the app has changed it.
    else if (!Object.is(value, shown[name])) fields[name] = value;
  }
  // Nobody could take out what was not shown.
  for (const [name, value] of Object.entries(base))
    if (!Object.hasOwn(shown, name) && !Object.hasOwn(next, name)) fields[name] = value;
  return fields;
}

function inList(
  base: readonly unknown[],
  shown: readonly unknown[],
  next: readonly unknown[],
  idOf: RowId,
): readonly unknown[] {
  const [baseRows, shownRows, nextRows] = [base, shown, next].map((list) => byId(list, idOf));
  if (baseRows == null || shownRows == null || nextRows == null) {
    // Pages of a list, say.
    const isAlike = base.length === shown.length && shown.length === next.length;
    return isAlike ? next.map((item, index) => carryOver(base[index], shown[index], item, idOf)) : next;
  }
  const rows: unknown[] = [];
  for (const [id, row] of nextRows) {
    if (!shownRows.has(id)) rows.push(row);
    else if (baseRows.has(id)) rows.push(carryOver(baseRows.get(id), shownRows.get(id), row, idOf));
  }
  const hidden = [...baseRows].filter(([id]) => !shownRows.has(id) && !nextRows.has(id));
  return hidden.length === 0 ? rows : withHidden(rows, hidden, { base: [...baseRows.keys()], idOf });
}

/** Those that a pending deletion hides stay where they were: behind the one before them. */
function withHidden(
  rows: unknown[],
  hidden: readonly (readonly [unknown, unknown])[],
  { base, idOf }: { readonly base: readonly unknown[]; readonly idOf: RowId },
): readonly unknown[] {
  for (const [id, row] of hidden) {
    const before = new Set(base.slice(0, base.indexOf(id)));
    let at = rows.length;
    while (at > 0 && !before.has(idOf(rows[at - 1] as object))) at -= 1;
    rows.splice(at, 0, row);
  }
  return rows;
}

/** Null for a list of anything else than rows, each with an id of its own. */
function byId(list: readonly unknown[], idOf: RowId): ReadonlyMap<unknown, unknown> | null {
  const rows = new Map<unknown, unknown>();
  for (const row of list) {
    const id = isPlain(row) ? idOf(row) : undefined;
    if (id === undefined || id === null) return null;
    rows.set(id, row);
  }
  return rows.size === list.length ? rows : null;
}

function ownId(row: object): unknown {
  return (row as { readonly id?: unknown }).id;
}

function isPlain(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
