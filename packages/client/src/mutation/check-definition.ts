import type { MutationDefinition } from './definition.ts';
import { HoldfastError } from './holdfast-error.ts';

const CHOICES = {
  operation: ['create', 'update', 'delete', 'restore', 'custom'],
  conflict: ['server-wins', 'client-wins', 'latest-wins', 'merge'],
  encoding: ['whole', 'smallest'],
  priority: ['high', 'normal', 'medium', 'low'],
} as const;

const RETRY_CHOICES = {
  strategy: ['exponential', 'linear', 'fixed'],
  jitter: ['full', 'decorrelated', 'none'],
} as const;

const FUNCTIONS = ['entity', 'lane', 'coalesce', 'optimistic', 'rollback'] as const;

/** What types tell, for those who write JavaScript: else it would show at the server, or never. Throws `INVALID_OPTION`. */
export function checkDefinition(definition: MutationDefinition | undefined): void {
  const { type, payload, conflict, dedupe, retry = {} } = definition ?? ({} as Partial<MutationDefinition>);
  if (typeof type !== 'string' || type === '') throw invalid('type', 'a text that is not empty', type);
  if (typeof payload?.['~standard']?.validate !== 'function')
    throw invalid(`${type}.payload`, 'a schema, such as v.object({}) or z.object({})', payload);
  for (const option of FUNCTIONS) {
    const value: unknown = definition?.[option];
    if (value !== undefined && typeof value !== 'function') throw invalid(`${type}.${option}`, 'a function', value);
  }
  const isNear = typeof dedupe === 'object' && typeof dedupe.key === 'function' && Array.isArray(dedupe.near);
  if (dedupe !== undefined && dedupe !== false && typeof dedupe !== 'function' && !isNear)
    throw invalid(`${type}.dedupe`, 'false, a function or { key, near }', dedupe);
  if (typeof retry !== 'object') throw invalid(`${type}.retry`, 'rules such as { maxRetries: 5 }', retry);
  for (const [rule, value] of Object.entries(retry)) {
    const choices: readonly unknown[] | undefined = RETRY_CHOICES[rule as keyof typeof RETRY_CHOICES];
    const isRight = choices === undefined ? typeof value === 'number' && value >= 0 : choices.includes(value);
    if (!isRight)
      throw invalid(
        `${type}.retry.${rule}`,
        choices === undefined ? 'a number from 0' : listed(choices as readonly string[], false),
        value,
      );
  }
  for (const [option, choices] of Object.entries(CHOICES)) {
    const value: unknown = definition?.[option as keyof typeof CHOICES];
    const isLeftOut = value === undefined && option !== 'operation';
    const isFunction = option === 'conflict' && typeof conflict === 'function';
    if (!isLeftOut && !isFunction && !(choices as readonly unknown[]).includes(value))
      throw invalid(`${type}.${option}`, listed(choices, option === 'conflict'), value);
  }
}

function listed(choices: readonly string[], orFunction: boolean): string {
  const all = [...choices.map((choice) => `'${choice}'`), ...(orFunction ? ['a function'] : [])];
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
