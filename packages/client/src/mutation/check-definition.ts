import type { MutationDefinition } from './definition.ts';
import { HoldfastError } from './holdfast-error.ts';

const CHOICES = {
  operation: ['create', 'update', 'delete', 'restore', 'custom'],
  conflict: ['server-wins', 'client-wins', 'latest-wins', 'merge'],
  encoding: ['whole', 'smallest'],
  priority: ['high', 'normal', 'medium', 'low'],
} as const;

/** What types tell, for those who write JavaScript: else it would show at the server, or never. Throws `INVALID_OPTION`. */
export function checkDefinition(definition: MutationDefinition | undefined): void {
  const { type, payload, entity, conflict } = definition ?? ({} as Partial<MutationDefinition>);
  if (typeof type !== 'string' || type === '') throw invalid('type', 'a text that is not empty', type);
  if (typeof payload?.['~standard']?.validate !== 'function')
    throw invalid(`${type}.payload`, 'a schema, such as v.object({}) or z.object({})', payload);
  if (entity !== undefined && typeof entity !== 'function') throw invalid(`${type}.entity`, 'a function', entity);
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
