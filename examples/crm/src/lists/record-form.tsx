import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import * as v from 'valibot';
import { ProblemAlert } from '../screens/problem-alert.tsx';
import { useReturnFocus } from './use-return-focus.ts';

type Errors<Fields> = Readonly<Partial<Record<keyof Fields & string, string>>>;

const NO_ERRORS: object = {};

interface RecordFormProps<Fields extends object> {
  readonly title: string;
  readonly initial: Fields;
  readonly schema: v.GenericSchema<unknown, Fields>;
  /** Resolves once it is on this device; what it rejects with is shown above the buttons. */
  readonly onSubmit: (fields: Fields) => Promise<void>;
  readonly onClose: () => void;
  /** Left out for one that is not there yet. */
  readonly onDelete?: (() => void) | undefined;
  readonly children: (form: {
    readonly fields: Fields;
    readonly errors: Errors<Fields>;
    readonly set: (change: Partial<Fields>) => void;
  }) => ReactNode;
}

/** A dialogue in which one record is made, changed or deleted. */
export function RecordForm<Fields extends object>({
  title,
  initial,
  schema,
  onSubmit,
  onClose,
  onDelete,
  children,
}: RecordFormProps<Fields>): ReactNode {
  useReturnFocus();
  const [fields, setFields] = useState(initial);
  const [errors, setErrors] = useState(NO_ERRORS as Errors<Fields>);
  const [problem, setProblem] = useState<unknown>(null);
  const [isSaving, setSaving] = useState(false);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const checked = v.safeParse(schema, fields);
    if (!checked.success) {
      const pairs = checked.issues.map(({ path, message }) => [String(path?.[0]?.key ?? ''), message]);
      setErrors(Object.fromEntries(pairs) as Errors<Fields>);
      return;
    }
    setErrors(NO_ERRORS as Errors<Fields>);
    setSaving(true);
    try {
      await onSubmit(checked.output);
      onClose();
    } catch (error) {
      setProblem(error);
      setSaving(false);
    }
  };

  return (
    <Modal
      opened
      onClose={onClose}
      title={
        <Text fw={650} component="span">
          {title}
        </Text>
      }
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Stack gap="sm">
          {children({ fields, errors, set: (change) => setFields((known) => ({ ...known, ...change })) })}
          {problem === null ? null : <ProblemAlert title="Not saved" error={problem} />}
          <Group justify="space-between" mt="xs">
            {onDelete === undefined ? (
              <span />
            ) : (
              <Button
                variant="subtle"
                color="red"
                onClick={() => {
                  onDelete();
                  onClose();
                }}
              >
                Delete
              </Button>
            )}
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" loading={isSaving}>
                Save
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** What of a form is different from before: someone else may be editing the rest. */
export function changedFields<Fields extends object>(before: Fields, after: Fields): Partial<Fields> {
  return Object.fromEntries(
    Object.entries(after).filter(([field, value]) => before[field as keyof Fields] !== value),
  ) as Partial<Fields>;
}

/** An empty text is one nobody has said anything about. */
export function textOrNull(text: string): string | null {
  return text.trim() === '' ? null : text;
}
