import { LIMITS } from 'holdfast/protocol';

/**
 * Whether Postgres can hold a JSON value as it is. It cannot hold NUL or half a surrogate pair in text; a number beyond
 * the doubles would change, and nesting beyond `LIMITS.jsonDepth` is refused. Walks without recursion, so that a
 * hostile value cannot exhaust the stack.
 */
export function isStorable(root: unknown): boolean {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: root, depth: 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (typeof value === 'string' && !isStorableText(value)) return false;
    if (typeof value === 'number' && !Number.isFinite(value)) return false;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > LIMITS.jsonDepth) return false;
    if (!Object.keys(value).every(isStorableText)) return false;
    for (const child of Object.values(value)) open.push({ value: child, depth: depth + 1 });
  }
  return true;
}

export function isStorableText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}
