/** Under keys that begin so, a store that keeps a log of its own puts what no longer reads of it: a queue shows it with its quarantine. */
export const QUARANTINED_LOG = 'q/log/';
