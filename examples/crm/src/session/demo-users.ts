/** Someone a visitor of the demonstration can be. There are no passwords: whoever opens the page may choose. */
export interface DemoUser {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly workspaceId: string;
  readonly workspaceName: string;
  readonly accountsNote: string;
}

/** All work for Meridian Ground Services, in two workspaces that do not see each other. */
export const DEMO_USERS: readonly DemoUser[] = [
  {
    id: '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a01',
    name: 'Amara Okafor',
    role: 'Head of accounts',
    workspaceId: 'meridian-world',
    workspaceName: 'Meridian World',
    accountsNote: 'Every account, on all continents',
  },
  {
    id: '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a03',
    name: 'Mei Tanaka',
    role: 'Account manager',
    workspaceId: 'meridian-world',
    workspaceName: 'Meridian World',
    accountsNote: 'The same accounts as Amara',
  },
  {
    id: '5d2f1c1e-6a54-4b0e-9a55-0f4a4f6b7a02',
    name: 'Jonas Lindqvist',
    role: 'Account manager',
    workspaceId: 'meridian-europe',
    workspaceName: 'Meridian Europe',
    accountsNote: 'The accounts of Europe',
  },
];

export function findDemoUser(userId: string): DemoUser | null {
  return DEMO_USERS.find((user) => user.id === userId) ?? null;
}

/** Who may look after an account or a deal. */
export const TEAM: readonly string[] = DEMO_USERS.map(({ name }) => name);
