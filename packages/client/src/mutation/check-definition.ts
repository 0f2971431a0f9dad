import type { MutationDefinition } from './definition.ts';
import { HoldfastError } from './holdfast-error.ts';

const CHOICES: Readonly<Record<string, readonly unknown[]>> = {
  operation: ['create', 'update', 'delete', 'restore', 'custom'],
  conflict: ['server-wins', 'client-wins', 'latest-wins', 'merge'],
  encoding: ['whole', 'smallest'],
  priority: ['high', 'normal', 'medium', 'low'],
  'retry.strategy': ['exponential', 'linear', 'fixed'],
  'retry.jitter': ['full', 'decorrelated', 'none'],
};
const FUNCTIONS: readonly string[] = ['entity', 'lane', 'coalesce', 'optimistic', 'rollback'];

/** What types tell, for those who write JavaScript: else it would show at the server, or never. Throws `INVALID_OPTION`. */
export function checkDefinition(definition: MutationDefinition | undefined): void {
  const { type, payload, retry = {} } = definition ?? ({} as Partial<MutationDefinition>);
  if (typeof type !== 'string' || type === '') throw invalid('type', 'a text that is not empty', type);
  if (typeof payload?.['~standard']?.validate !== 'function')
    throw invalid(`${type}.payload`, 'a schema, such as v.object({}) or z.object({})', payload);
  const rules = Object.entries(retry).map(([rule, value]) => [`retry.${rule}`, value] as const);
  for (const [option, value] of Object.entries({ operation: undefined, ...definition, ...Object.fromEntries(rules) })) {
    const expected = value === undefined && option !== 'operation' ? null : expectedOf(option, value);
    if (expected !== null) throw invalid(`${type}.${option}`, expected, value);
  }
}

/** Null for what is right. */
function expectedOf(option: string, value: unknown): string | null {
  const choices = CHOICES[option];
  const isFunction = typeof value === 'function';
  if (choices !== undefined) {
    const orFunction = option === 'conflict';
    return choices.includes(value) || (orFunction && isFunction) ? null : listed(choices, orFunction);
  }
  if (option.startsWith('retry.')) return typeof value === 'number' && value >= 0 ? null : 'a number from 0';
  if (FUNCTIONS.includes(option)) return isFunction ? null : 'a function';
  if (option !== 'dedupe' || isFunction || value === false) return null;
  const { key, near } = Object(value) as { readonly key?: unknown; readonly near?: unknown };
  return typeof key === 'function' && Array.isArray(near) ? null : 'false, a function or { key, near }';
}

function listed(choices: readonly unknown[], orFunction: boolean): string {
  const all = [...choices.map((choice) => `'${String(choice)}'`), ...(orFunction ? ['a function'] : [])];
  return `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`;
}

function invalid(option: string, expected: string, actual: unknown): HoldfastError {
  const came = typeof actual === 'string' ? JSON.stringify(actual) : String(actual);
  return new HoldfastError({
    code: 'INVALID_OPTION',
    message: `defineMutation: \`${option}\` must be ${expected}; it is ${came}.`,
    hint: 'Correct it where the type is defined.',
  });
}
