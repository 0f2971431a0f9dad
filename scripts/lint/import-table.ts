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
const adapting = [...inner, ...client('telemetry')];
const wired = [...adapting, ...client('delivery', 'reading', 'network', 'tabs', 'tasks', 'storage')];
const bound = client('protocol', 'mutation', 'queue', 'network', 'optimistic', 'ports', 'telemetry');

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
  { path: `${CLIENT}/telemetry`, files: inner, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/delivery`, files: adapting, packages: ['declared'], hasNode: false },
  // What the server tells by itself and of the past. Delivery knows nothing of it.
  {
    path: `${CLIENT}/reading`,
    files: [...adapting, ...client('delivery')],
    packages: ['declared'],
    hasNode: false,
  },
  { path: `${CLIENT}/network`, files: adapting, packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/tabs`, files: adapting, packages: ['declared'], hasNode: false },
  // A task that fails is tried again by the code that retries everything else.
  { path: `${CLIENT}/tasks`, files: [...adapting, ...client('delivery')], packages: ['declared'], hasNode: false },
  { path: `${CLIENT}/storage`, files: client('ports', 'protocol', 'mutation'), packages: ['declared'], hasNode: false },
  // The queue wires the parts and holds no rules.
  { path: `${CLIENT}/queue`, files: wired, packages: ['declared'], hasNode: false },
  // Shown state is made of what a queue tells everybody; the queue knows nothing of it.
  { path: `${CLIENT}/optimistic`, files: [...adapting, ...client('queue')], packages: ['declared'], hasNode: false },
  // Bindings adapt what the main entry offers too, and bring React.
  {
    path: `${CLIENT}/react`,
    files: bound,
    packages: ['react', '@standard-schema/spec', '@tanstack/virtual-core'],
    hasNode: false,
  },
  { path: `${CLIENT}/native`, files: bound, packages: ['declared', 'react'], hasNode: false },
  { path: `${CLIENT}/testing`, files: [CLIENT], packages: ['declared'], hasNode: false },
  // The main entry and what stands beside it.
  { path: CLIENT, files: [...wired, ...client('queue', 'optimistic')], packages: ['declared'], hasNode: false },
  {
    path: 'packages/server/src',
    files: ['packages/server/package.json'],
    packages: ['holdfast/protocol', 'declared'],
    hasNode: true,
  },
  // Run by hand and by a test; nothing of it is published.
  {
    path: 'packages/server/src/testing-kills',
    files: ['scripts/command-line.ts'],
    packages: ['holdfast/protocol', 'declared'],
    hasNode: true,
  },
  {
    path: 'sim',
    files: [
      ...wired,
      ...client('queue', 'testing'),
      'scripts/chromium.ts',
      'scripts/bundle.ts',
      'scripts/command-line.ts',
      'packages/server/src/testing-databases/real-postgres.ts',
    ],
    packages: ['holdfast', '@holdfast/server', 'declared'],
    hasNode: true,
  },
  {
    path: 'examples/crm',
    files: [],
    packages: ['holdfast', '@holdfast/server', 'declared', 'react', 'react-dom'],
    hasNode: true,
  },
  {
    path: 'bench',
    files: [
      'scripts/chromium.ts',
      'scripts/bundle.ts',
      'scripts/command-line.ts',
      ...client('storage'),
      'packages/server/src/testing-databases/real-postgres.ts',
      // the example's own server, whose page is measured
      'examples/crm/server',
    ],
    packages: ['holdfast', '@holdfast/server', 'declared', 'react', 'react-dom'],
    hasNode: true,
  },
  { path: 'scripts', files: ['package.json'], packages: ['declared'], hasNode: true },
];

/** In-repo packages are imported by name only where a row names them: `declared` does not stand for them. */
export const IN_REPO_PACKAGES: readonly string[] = ['holdfast', '@holdfast/server'];

/**
 * Tests, what only they use, and configurations of tools: they may import what is declared for development, and any file
 * of their own package.
 */
export function isForDevelopment(path: string): boolean {
  return /\.(test|test-d|config)\.tsx?$|(^|\/)(test|fixtures|testing-[^/]+)\//.test(path);
}
