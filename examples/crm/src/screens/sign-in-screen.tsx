import { Avatar, Paper, Text, Title, UnstyledButton } from '@mantine/core';
import type { ReactNode } from 'react';
import { DEMO_USERS, type DemoUser } from '../session/demo-users.ts';
import { BrandMark } from '../shell/brand-mark.tsx';
import classes from './sign-in-screen.module.css';

/** Who are you? A demonstration has no passwords, and says so. */
export function SignInScreen({ onChoose }: { readonly onChoose: (user: DemoUser) => void }): ReactNode {
  return (
    <main className={classes.page}>
      <Paper withBorder shadow="sm" p="xl" radius="lg" className={classes.card}>
        <div className={classes.brand}>
          <BrandMark size={44} />
          <div>
            <Title order={1} size="h3">
              Meridian Ground Services
            </Title>
            <Text size="sm" className="soft">
              Accounts of the airports we serve
            </Text>
          </div>
        </div>
        <Text fw={600} id="who" mb="xs">
          Who are you today?
        </Text>
        <ul className={classes.users} aria-labelledby="who">
          {DEMO_USERS.map((user) => (
            <li key={user.id}>
              <UnstyledButton className={classes.user} onClick={() => onChoose(user)}>
                <Avatar size={44} radius="xl" color="meridian" name={user.name} />
                <span>
                  <Text component="span" fw={600} display="block">
                    {user.name}
                  </Text>
                  <Text component="span" size="sm" className="soft" display="block">
                    {user.role} · {user.workspaceName}
                  </Text>
                  <Text component="span" size="sm" className="soft" display="block">
                    {user.accountsNote}
                  </Text>
                </span>
              </UnstyledButton>
            </li>
          ))}
        </ul>
        <Text size="sm" className="soft" mt="lg">
          This is a demonstration: there are no passwords, and whoever opens this page may be any of them. The two
          workspaces do not see each other. What you change is kept on this device until the server has confirmed it.
        </Text>
      </Paper>
    </main>
  );
}
