import {
  Alert,
  Button,
  FileInput,
  Group,
  Modal,
  ScrollArea,
  Select,
  SimpleGrid,
  Stack,
  Table,
  Text,
} from '@mantine/core';
import { type ReactNode, useMemo, useState } from 'react';
import { useBulk } from '../bulk/bulk-context.ts';
import { useReturnFocus } from '../lists/use-return-focus.ts';
import { useCrmState } from '../workspace/workspace-context.ts';
import {
  guessMapping,
  IMPORT_FIELDS,
  IMPORT_WORDS,
  type Mapping,
  type RowProblem,
  readContacts,
} from './read-contacts.ts';
import { type CsvFile, readCsv } from './read-csv.ts';

/** Larger ones would hold up the page for longer than people wait. */
const BYTES_MAX = 20_000_000;
const PREVIEW_COUNT = 5;
const PROBLEM_COUNT = 100;
const numbers = new Intl.NumberFormat('en');

/** A CSV file becomes contacts: choose it, say which column is what, see what is wrong with which row, and import the rest. */
export function ImportContacts({ onClose }: { readonly onClose: () => void }): ReactNode {
  useReturnFocus();
  const [file, setFile] = useState<File | null>(null);
  const [parsed, setParsed] = useState<CsvFile | null>(null);
  const [mapping, setMapping] = useState<Mapping | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { accounts, contacts } = useCrmState();
  const { start, isRunning } = useBulk();
  const read = useMemo(
    () =>
      parsed === null || mapping === null
        ? null
        : readContacts(parsed.rows, mapping, { accounts: Object.values(accounts), contacts: Object.values(contacts) }),
    [parsed, mapping, accounts, contacts],
  );

  const choose = (chosen: File | null): void => {
    setFile(chosen);
    setParsed(null);
    setProblem(null);
    if (chosen === null) return;
    if (chosen.size > BYTES_MAX) {
      setProblem('The file is larger than 20 MB. Split it, and import the parts one after another.');
      return;
    }
    chosen.arrayBuffer().then(
      (buffer) => {
        const csv = readCsv(new Uint8Array(buffer));
        if (csv.rows.length === 0) setProblem('There is no row beneath the head of this file.');
        setParsed(csv);
        setMapping(guessMapping(csv.columns));
      },
      (error: unknown) =>
        setProblem(`The file could not be read: ${error instanceof Error ? error.message : String(error)}`),
    );
  };
  const run = (): void => {
    if (read === null) return;
    start(
      `Import of ${numbers.format(read.contacts.length)} contacts`,
      read.contacts.map((fields) => ({
        type: 'contact.create' as const,
        payload: { id: crypto.randomUUID(), ...fields },
      })),
    );
    onClose();
  };
  const badRowCount = new Set(read?.problems.map(({ rowNumber }) => rowNumber)).size;

  return (
    <Modal
      opened
      onClose={onClose}
      title={
        <Text fw={650} component="span">
          Import contacts
        </Text>
      }
      closeButtonProps={{ 'aria-label': 'Close' }}
      size="xl"
    >
      <Stack gap="md">
        <FileInput
          label="CSV file"
          description="With a head. Commas, semicolons and tabs are told apart by themselves."
          placeholder="Choose a file"
          accept=".csv,.tsv,.txt,text/csv"
          value={file}
          onChange={choose}
          clearable
          clearButtonProps={{ 'aria-label': 'Remove the file' }}
          data-autofocus
        />
        {problem === null ? null : <Alert color="red" title={problem} />}
        {parsed === null || mapping === null || read === null || parsed.rows.length === 0 ? null : (
          <>
            {parsed.isGuessed ? (
              <Alert color="yellow" title="Look at the names with accents">
                The file is not in Unicode, and was read as Western European (Windows-1252). If names look wrong below,
                save it as “CSV UTF-8” and choose it again.
              </Alert>
            ) : null}
            <MappingSelects columns={parsed.columns} mapping={mapping} onMapping={setMapping} />
            <Preview parsed={parsed} />
            <Text size="sm" role="status">
              {numbers.format(read.contacts.length)} of {numbers.format(parsed.rows.length)} rows can be imported
              {badRowCount > 0 ? `; ${numbers.format(badRowCount)} ${badRowCount === 1 ? 'is' : 'are'} left out.` : '.'}
            </Text>
            {read.problems.length === 0 ? null : <Problems problems={read.problems} />}
          </>
        )}
        <Group justify="end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button onClick={run} disabled={read === null || read.contacts.length === 0 || isRunning}>
            {isRunning ? 'Another one is running' : `Import ${numbers.format(read?.contacts.length ?? 0)} contacts`}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

interface MappingSelectsProps {
  readonly columns: readonly string[];
  readonly mapping: Mapping;
  readonly onMapping: (mapping: Mapping) => void;
}

function MappingSelects({ columns, mapping, onMapping }: MappingSelectsProps): ReactNode {
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, sm: 3 }} spacing="sm">
      {IMPORT_FIELDS.map((field) => (
        <Select
          key={field}
          label={IMPORT_WORDS[field]}
          placeholder="Not in the file"
          data={columns}
          value={mapping[field]}
          clearable
          error={mapping[field] === null && (field === 'name' || field === 'account') ? 'Choose a column.' : undefined}
          onChange={(column) => onMapping({ ...mapping, [field]: column })}
        />
      ))}
    </SimpleGrid>
  );
}

function Preview({ parsed: { columns, rows } }: { readonly parsed: CsvFile }): ReactNode {
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': 'Beginning of the file' }}>
      <Table withTableBorder captionSide="top" fz="xs">
        <Table.Caption mt={0}>The first rows of the file</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => (
              <Table.Th key={column}>{column}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.slice(0, PREVIEW_COUNT).map(({ rowNumber, cells }) => (
            <Table.Tr key={rowNumber}>
              {columns.map((column) => (
                <Table.Td key={column}>{cells[column]}</Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}

function Problems({ problems }: { readonly problems: readonly RowProblem[] }): ReactNode {
  return (
    <ScrollArea.Autosize
      mah={200}
      type="auto"
      viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': 'What is wrong, row by row' }}
    >
      <Table fz="xs" withTableBorder>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Row</Table.Th>
            <Table.Th>Field</Table.Th>
            <Table.Th>Problem</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {problems.slice(0, PROBLEM_COUNT).map(({ rowNumber, field, message }) => (
            <Table.Tr key={`${rowNumber} ${field} ${message}`}>
              <Table.Td>{rowNumber}</Table.Td>
              <Table.Td>{field === null ? 'The row' : IMPORT_WORDS[field]}</Table.Td>
              <Table.Td>{message}</Table.Td>
            </Table.Tr>
          ))}
          {problems.length > PROBLEM_COUNT ? (
            <Table.Tr>
              <Table.Td colSpan={3}>and {numbers.format(problems.length - PROBLEM_COUNT)} more</Table.Td>
            </Table.Tr>
          ) : null}
        </Table.Tbody>
      </Table>
    </ScrollArea.Autosize>
  );
}
