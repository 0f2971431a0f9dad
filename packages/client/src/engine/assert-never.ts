/** Stops compiling where a kind was not decided, and throws should one arrive all the same. */
export function assertNever(value: never): never {
  throw new Error(`Not reachable: ${JSON.stringify(value)}`);
}
