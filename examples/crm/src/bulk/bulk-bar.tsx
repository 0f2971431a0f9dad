import { Button, Select, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useBulk } from './bulk-context.ts';
import classes from './bulk.module.css';

/** A field that can be set for all that is selected. */
export interface BulkField {
  readonly field: string;
  /** "Owner" */
  readonly label: string;
  readonly options: readonly { readonly value: string; readonly label: string }[];
}

interface BulkBarProps {
  readonly count: number;
  /** "accounts" */
  readonly noun: string;
  readonly fields: readonly BulkField[];
  readonly onApply: (field: string, value: string, title: string) => void;
  readonly onClear: () => void;
}

const numbers = new Intl.NumberFormat('en');

/** What can be done with all that is selected. */
export function BulkBar({ count, noun, fields, onApply, onClear }: BulkBarProps): ReactNode {
  const [name, setName] = useState(fields[0]?.field ?? '');
  const [value, setValue] = useState<string | null>(null);
  const { isRunning } = useBulk();
  const field = fields.find((each) => each.field === name);
  if (count === 0 || field === undefined) return null;
  const chosen = field.options.find((option) => option.value === value);
  return (
    <div className={classes.bar} role="group" aria-label={`Change the selected ${noun}`}>
      <Text size="sm" fw={600} aria-live="polite">
        {numbers.format(count)} selected
      </Text>
      {fields.length > 1 ? (
        <Select
          size="xs"
          w={120}
          aria-label="What to change"
          data={fields.map(({ field: each, label }) => ({ value: each, label }))}
          value={name}
          allowDeselect={false}
          onChange={(next) => {
            setName(next ?? '');
            setValue(null);
          }}
        />
      ) : null}
      <Select
        size="xs"
        w={170}
        aria-label={`New ${field.label.toLowerCase()}`}
        placeholder={`New ${field.label.toLowerCase()}`}
        data={[...field.options]}
        value={value}
        onChange={setValue}
      />
      <Button
        size="xs"
        disabled={chosen === undefined || isRunning}
        onClick={() => {
          if (value !== null)
            onApply(
              name,
              value,
              `${field.label} of ${numbers.format(count)} ${noun} becomes ${chosen?.label ?? value}`,
            );
        }}
      >
        {isRunning ? 'Another one is running' : `Change ${field.label.toLowerCase()}`}
      </Button>
      <Button size="xs" variant="subtle" onClick={onClear}>
        Clear selection
      </Button>
    </div>
  );
}
