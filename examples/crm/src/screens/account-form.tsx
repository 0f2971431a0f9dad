import { Button, Group, NumberInput, Select, SimpleGrid, Switch, Textarea, TextInput } from '@mantine/core';
import { isHoldfastError } from 'holdfast';
import { type FormEvent, type ReactNode, useMemo, useState } from 'react';
import * as v from 'valibot';
import { ACCOUNT_KINDS, type AccountFields, CONTINENTS } from '../accounts/account.ts';
import { accountFieldsSchema } from '../accounts/account-schema.ts';
import { CONTINENT_WORDS, countryName, FIELD_WORDS, KIND_WORDS } from '../accounts/account-words.ts';
import { TEAM } from '../session/demo-users.ts';
import { useCrmState } from '../workspace/workspace-context.ts';
import classes from './account-form.module.css';
import { ProblemAlert } from './problem-alert.tsx';

interface AccountFormProps {
  readonly initial: AccountFields;
  readonly submitLabel: string;
  readonly onCancel: () => void;
  /** Resolves once the change is on this device; what it rejects with is shown above the buttons. */
  readonly onSubmit: (fields: AccountFields) => Promise<void>;
}

export const EMPTY_FIELDS: AccountFields = {
  name: '',
  iata: null,
  icao: null,
  kind: 'small_airport',
  country_code: '',
  continent: 'EU',
  time_zone: null,
  latitude: null,
  longitude: null,
  elevation_ft: null,
  scheduled_service: false,
  website: null,
  wikipedia: null,
  runway_length_ft: null,
  contact_name: null,
  contact_phone: null,
  notes: null,
  owner: null,
};

type FieldErrors = Readonly<Partial<Record<keyof AccountFields, string>>>;

export function AccountForm({ initial, submitLabel, onCancel, onSubmit }: AccountFormProps): ReactNode {
  const [fields, setFields] = useState<AccountFields>(() => pickFields(initial));
  const [errors, setErrors] = useState<FieldErrors>({});
  const [problem, setProblem] = useState<unknown>(null);
  const [isSaving, setSaving] = useState(false);
  const countries = useCountryOptions();

  const set = (change: Partial<AccountFields>): void => setFields((known) => ({ ...known, ...change }));
  const text = (
    field: TextField,
  ): {
    label: string;
    value: string;
    error: string | undefined;
    onChange: (event: { currentTarget: { value: string } }) => void;
  } => ({
    label: FIELD_WORDS[field],
    value: fields[field] ?? '',
    error: errors[field],
    onChange: (event) => set({ [field]: event.currentTarget.value }),
  });
  const number = (
    field: NumberField,
  ): { label: string; value: number | ''; error: string | undefined; onChange: (value: number | string) => void } => ({
    label: FIELD_WORDS[field],
    value: fields[field] ?? '',
    error: errors[field],
    onChange: (value) => set({ [field]: typeof value === 'number' ? value : null }),
  });

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const checked = v.safeParse(accountFieldsSchema, tidy(fields));
    if (!checked.success) {
      setErrors(errorsByField(checked.issues));
      return;
    }
    setErrors({});
    setProblem(null);
    setSaving(true);
    try {
      await onSubmit(checked.output);
    } catch (error) {
      if (isHoldfastError(error)) setErrors(errorsByPath(error.issues));
      setProblem(error);
      setSaving(false);
    }
  };

  return (
    <form className={classes.form} onSubmit={(event) => void submit(event)} noValidate>
      <TextInput {...text('name')} required data-autofocus />
      <SimpleGrid cols={2} spacing="sm">
        <TextInput {...text('iata')} maxLength={3} />
        <TextInput {...text('icao')} maxLength={8} />
        <Select
          label={FIELD_WORDS.kind}
          data={ACCOUNT_KINDS.map((value) => ({ value, label: KIND_WORDS[value] }))}
          value={fields.kind}
          error={errors.kind}
          allowDeselect={false}
          onChange={(kind) => set({ kind: kind as AccountFields['kind'] })}
        />
        <Select
          label={FIELD_WORDS.country_code}
          data={countries}
          value={fields.country_code === '' ? null : fields.country_code}
          error={errors.country_code}
          searchable
          required
          limit={100}
          nothingFoundMessage="No such country"
          onChange={(code) => set({ country_code: code ?? '' })}
        />
        <Select
          label={FIELD_WORDS.continent}
          data={CONTINENTS.map((value) => ({ value, label: CONTINENT_WORDS[value] }))}
          value={fields.continent}
          error={errors.continent}
          allowDeselect={false}
          onChange={(continent) => set({ continent: continent as AccountFields['continent'] })}
        />
        <TextInput {...text('time_zone')} placeholder="Europe/Berlin" />
      </SimpleGrid>
      <fieldset className={classes.group}>
        <legend>Contact</legend>
        <SimpleGrid cols={2} spacing="sm">
          <Select
            label={FIELD_WORDS.owner}
            data={[...TEAM]}
            value={fields.owner}
            error={errors.owner}
            placeholder="Nobody"
            clearable
            onChange={(owner) => set({ owner })}
          />
          <TextInput {...text('contact_name')} />
          <TextInput {...text('contact_phone')} type="tel" />
        </SimpleGrid>
        <TextInput {...text('website')} type="url" placeholder="https://" />
        <TextInput {...text('wikipedia')} type="url" placeholder="https://" />
      </fieldset>
      <fieldset className={classes.group}>
        <legend>Airport</legend>
        <SimpleGrid cols={2} spacing="sm">
          <NumberInput {...number('runway_length_ft')} suffix=" ft" thousandSeparator="," />
          <NumberInput {...number('elevation_ft')} suffix=" ft" thousandSeparator="," />
          <NumberInput {...number('latitude')} decimalScale={6} />
          <NumberInput {...number('longitude')} decimalScale={6} />
        </SimpleGrid>
        <Switch
          label={FIELD_WORDS.scheduled_service}
          checked={fields.scheduled_service}
          onChange={(event) => set({ scheduled_service: event.currentTarget.checked })}
        />
      </fieldset>
      <Textarea {...text('notes')} autosize minRows={3} maxRows={12} />
      {problem === null ? null : <ProblemAlert title="Not saved" error={problem} />}
      <Group justify="end" className={classes.buttons ?? ''}>
        <Button variant="default" onClick={onCancel}>
          Cancel
        </Button>
        <Button type="submit" loading={isSaving}>
          {submitLabel}
        </Button>
      </Group>
    </form>
  );
}

type TextField =
  | 'name'
  | 'iata'
  | 'icao'
  | 'time_zone'
  | 'website'
  | 'wikipedia'
  | 'contact_name'
  | 'contact_phone'
  | 'notes';
type NumberField = 'latitude' | 'longitude' | 'elevation_ft' | 'runway_length_ft';

function useCountryOptions(): { readonly value: string; readonly label: string }[] {
  const { accounts } = useCrmState();
  return useMemo(() => {
    const codes = new Set(Object.values(accounts).map((account) => account.country_code));
    return [...codes]
      .map((value) => ({ value, label: countryName(value) }))
      .toSorted((a, b) => a.label.localeCompare(b.label));
  }, [accounts]);
}

function pickFields(from: AccountFields): AccountFields {
  const names = Object.keys(EMPTY_FIELDS) as (keyof AccountFields)[];
  return Object.fromEntries(names.map((name) => [name, from[name]])) as unknown as AccountFields;
}

/** An empty field is one nobody has said anything about; codes are written in capitals. */
function tidy(fields: AccountFields): AccountFields {
  const tidied = Object.entries(fields as unknown as Record<string, unknown>).map(
    ([name, value]): [string, unknown] => {
      if (typeof value !== 'string' || name === 'name' || name === 'country_code') return [name, value];
      const trimmed = name === 'notes' ? value : value.trim();
      if (trimmed === '') return [name, null];
      return [name, name === 'iata' ? trimmed.toUpperCase() : trimmed];
    },
  );
  return Object.fromEntries(tidied) as unknown as AccountFields;
}

function errorsByField(issues: readonly v.BaseIssue<unknown>[]): FieldErrors {
  return Object.fromEntries(issues.map((issue) => [v.getDotPath(issue) ?? '', issue.message]));
}

function errorsByPath(
  issues: readonly { readonly message: string; readonly path: readonly (string | number)[] }[],
): FieldErrors {
  return Object.fromEntries(issues.map(({ path, message }) => [path.join('.'), message]));
}
