/**
 * A value, or a promise of it where something has to be waited for. What is nearly always known at once is not waited for: of ten
 * thousand mutations that are added together each `await` is one more thing to keep, and to come back to.
 */
export type MaybeLater<Value> = Value | Promise<Value>;

export function whenKnown<Value, Result>(
  value: MaybeLater<Value>,
  then: (value: Value) => MaybeLater<Result>,
): MaybeLater<Result> {
  return value instanceof Promise ? value.then(then) : then(value);
}
