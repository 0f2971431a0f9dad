/** Values by key, each for as long as somebody else holds it. */
export interface WeakCache<Key, Value extends object> {
  readonly get: (key: Key) => Value | undefined;
  readonly set: (key: Key, value: Value) => void;
  readonly delete: (key: Key) => boolean;
  /** Keys whose value has not been collected, as far as that is known. */
  readonly size: () => number;
}

/** Never keeps a value alive. Where the platform has no `WeakRef` it holds nothing, which is right for a cache too. */
export function createWeakCache<Key, Value extends object>(): WeakCache<Key, Value> {
  if (typeof WeakRef === 'undefined')
    return { get: () => undefined, set: () => {}, delete: () => false, size: () => 0 };
  const refs = new Map<Key, WeakRef<Value>>();
  // The key of a value that is gone would stay for ever.
  const gone = new FinalizationRegistry<{ readonly key: Key; readonly ref: WeakRef<Value> }>(({ key, ref }) => {
    if (refs.get(key) === ref) refs.delete(key);
  });
  const drop = (key: Key): boolean => {
    const ref = refs.get(key);
    if (ref === undefined) return false;
    gone.unregister(ref);
    return refs.delete(key);
  };
  return {
    get(key) {
      const ref = refs.get(key);
      const value = ref?.deref();
      if (ref !== undefined && value === undefined) drop(key);
      return value;
    },
    set(key, value) {
      drop(key);
      const ref = new WeakRef(value);
      refs.set(key, ref);
      gone.register(value, { key, ref }, ref);
    },
    delete: drop,
    size: () => refs.size,
  };
}
