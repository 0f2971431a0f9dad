/** What the shipped source of one folder may import, beside itself. Tests and sources of development have rules of their own. */
export interface Part {
  /** Folder or file, from the root of the repository. The longest one that a path starts with decides. */
  readonly path: string;
  /** Folders or files of the repository that it may import by relative path. */
  readonly files: readonly string[];
  /** Packages it may import by name; `declared` means any that its package.json declares, but React. */
  readonly packages: readonly string[];
  /** Whether Node's built-in modules are there where it runs. */
  readonly hasNode: boolean;
}

const CLIENT = 'packages/client/src';
const client = (...folders: readonly string[]): readonly string[] => folders.map((folder) => `${CLIENT}/${folder}`);
const inner = client('protocol', 'mutation', 'engine', 'ports');

/** The directions of the design: imports point inwards, and client and server meet only in `protocol`. */
export const IMPORT_TABLE: readonly Part[] = [
  { path: `${CLIENT}/protocol`, files: [], packages: [], hasNode: false },
  {
    path: `${CLIENT}/mutation`,
    files: client('protocol'),
    packages: ['@standard-schema/spec', 'valibot', 'uuid'],
    hasNode: false,
  },
  { path: `${CLIENT}/engine`, files: client('protocol', 'mutation', 'ports/clock.ts'), packages: [], hasNode: false },
  { path: `${CLIENT}/ports`, files: client('protocol', 'mutation', 'engine'), packages: [], hasNode: false },
  // The queue wires the parts and holds no rules.
  {
    path: `${CLIENT}/queue`,
    files: [...inner, ...client('delivery', 'network', 'optimistic', 'telemetry', 'tasks', 'storage')],
    packages: ['declared'],
    hasNode: false,
  },
  { path: `${CLIENT}/delivery`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/network`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/optimistic`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/telemetry`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/tasks`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/storage`, files: client('ports', 'protocol', 'mutation'), packages: ['declared'], hasNode: false },
  // An app writes against the same surface, so hooks need nothing that an app could not have.
  { path: `${CLIENT}/react`, files: client('index.ts'), packages: ['react'], hasNode: false },
  { path: `${CLIENT}/native`, files: client('index.ts', 'ports'), packages: ['declared', 'react'], hasNode: false },
  { path: `${CLIENT}/testing`, files: [CLIENT], packages: ['declared'], hasNode: false },
  // The main entry and what stands beside it.
  {
    path: CLIENT,
    files: [...inner, ...client('queue', 'delivery', 'network', 'optimistic', 'telemetry', 'tasks', 'storage')],
    packages: ['declared'],
    hasNode: false,
  },
  { path: 'packages/server/src', files: [], packages: ['holdfast/protocol', 'declared'], hasNode: true },
  {
    path: 'sim',
    files: [...inner, ...client('queue', 'storage', 'delivery', 'network')],
    packages: ['holdfast', '@holdfast/server', 'declared'],
    hasNode: true,
  },
  {
    path: 'examples/crm',
    files: [],
    packages: ['holdfast', '@holdfast/server', 'declared', 'react', 'react-dom'],
    hasNode: true,
  },
  { path: 'scripts', files: ['package.json'], packages: ['declared'], hasNode: true },
];

/** In-repo packages are imported by name only where a row names them: `declared` does not stand for them. */
export const IN_REPO_PACKAGES: readonly string[] = ['holdfast', '@holdfast/server'];

/** Tests and what only they use: they may import what is declared for development, and any file of their own package. */
export function isTest(path: string): boolean {
  return /\.(test|test-d)\.tsx?$|(^|\/)(test|fixtures)\//.test(path);
}
