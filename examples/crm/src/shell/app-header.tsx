import {
  ActionIcon,
  Avatar,
  Button,
  Menu,
  Modal,
  Text,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
  VisuallyHidden,
} from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import {
  describeQueue,
  HealthPanel,
  LongOfflineNotice,
  PendingList,
  type PillState,
  StatusPill,
  StorageBanner,
  useMutationQueue,
} from 'holdfast/react';
import type { ReactNode } from 'react';
import { SimulationDrawer, SimulationNotice } from '../simulate/simulation-drawer.tsx';
import { describeChange } from '../workspace/mutations.ts';
import { useCrmState, useWorkspace } from '../workspace/workspace-context.ts';
import classes from './app-header.module.css';
import { BrandMark } from './brand-mark.tsx';
import { Icon } from './icons.tsx';

/** As in the style sheets. */
const PHONE = '(max-width: 480px)';

/** On one line of a phone: "Offline · 37 saved on this device". */
function describeInShort(snapshot: Parameters<typeof describeQueue>[0]): PillState {
  const { tone, text } = describeQueue(snapshot);
  return { tone, text: text.replace(/ changes? (saved|in this)/, ' $1') };
}

interface AppHeaderProps {
  readonly onSignOut: () => void;
  /** Which version is to stand, of an edit in conflict. */
  readonly onDecide: () => void;
}

/** Where the user's changes are, who is signed in, and the way out. */
export function AppHeader({ onSignOut, onDecide }: AppHeaderProps): ReactNode {
  const { user } = useWorkspace();
  const [isListOpen, list] = useDisclosure(false);
  const [isSimulationOpen, simulation] = useDisclosure(false);
  const [isHealthOpen, health] = useDisclosure(false);
  const isPhone = useMediaQuery(PHONE, undefined, { getInitialValueInEffect: false });
  return (
    <>
      <StorageBanner />
      <header className={classes.header}>
        <div className={classes.brand}>
          <BrandMark />
          <div className={classes.names}>
            <Text fw={700} lh={1.15}>
              Meridian <span className={classes.long}>Ground Services</span>
            </Text>
            <Text size="xs" className="soft" lh={1.2}>
              {user.workspaceName}
            </Text>
          </div>
        </div>
        <div className={classes.actions}>
          <StatusPill
            onClick={list.open}
            className={classes.pill ?? ''}
            describe={isPhone ? describeInShort : describeQueue}
          />
          {isPhone ? null : <ThemeSwitch />}
          <UserMenu onSignOut={onSignOut} onSimulate={simulation.open} onHealth={health.open} />
        </div>
        <Modal
          opened={isListOpen}
          onClose={list.close}
          title={<Text fw={650}>Your changes on this device</Text>}
          closeButtonProps={{ 'aria-label': 'Close' }}
          size="lg"
        >
          <ChangesList
            onDecide={() => {
              list.close();
              onDecide();
            }}
          />
        </Modal>
        <Modal
          opened={isHealthOpen}
          onClose={health.close}
          title={<Text fw={650}>This device</Text>}
          closeButtonProps={{ 'aria-label': 'Close' }}
        >
          <HealthPanel />
        </Modal>
        <SimulationDrawer opened={isSimulationOpen} onClose={simulation.close} />
      </header>
      <SimulationNotice onOpen={simulation.open} />
      <LongOfflineNotice />
    </>
  );
}

function ChangesList({ onDecide }: Pick<AppHeaderProps, 'onDecide'>): ReactNode {
  const state = useCrmState();
  return (
    <>
      <Hindrance />
      <PendingList describe={(status) => describeChange(state, status)} onDecide={onDecide} />
    </>
  );
}

/** What stops all of them, in the server's own words, and a way to ask again at once. */
function Hindrance(): ReactNode {
  const { queue, getToken } = useWorkspace();
  const { error, pendingCount, waitingFor } = useMutationQueue();
  if (pendingCount === 0 || waitingFor === 'nothing' || waitingFor === 'lane') return null;
  const tryNow = async (): Promise<void> => {
    // a token that cannot be had now is asked for again when it is needed
    if (waitingFor === 'auth') await getToken({ refresh: true }).catch(() => null);
    queue.loginChanged();
    await queue.process();
  };
  return (
    <div className={classes.hindrance}>
      <Text size="sm">
        {error === null ? 'Your changes are safe on this device.' : [error.message, error.hint].join(' ')}
      </Text>
      <Button size="xs" variant="default" className={classes.tryNow ?? ''} onClick={() => void tryNow()}>
        Try now
      </Button>
    </div>
  );
}

function useOtherTheme(): { readonly other: 'light' | 'dark'; readonly use: () => void } {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const other = scheme === 'dark' ? 'light' : 'dark';
  return { other, use: () => setColorScheme(other) };
}

function ThemeSwitch(): ReactNode {
  const { other, use } = useOtherTheme();
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Use the ${other} theme`} onClick={use}>
      <Icon name={other === 'light' ? 'sun' : 'moon'} />
    </ActionIcon>
  );
}

interface UserMenuProps {
  readonly onSignOut: () => void;
  readonly onSimulate: () => void;
  readonly onHealth: () => void;
}

function UserMenu({ onSignOut, onSimulate, onHealth }: UserMenuProps): ReactNode {
  const { user } = useWorkspace();
  const { pendingCount } = useMutationQueue();
  const theme = useOtherTheme();
  return (
    <Menu position="bottom-end" width={280} shadow="md" withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <UnstyledButton className={classes.user}>
          <VisuallyHidden>Signed in as {user.name}</VisuallyHidden>
          <span aria-hidden="true" className={classes.userFace}>
            <Avatar size={32} radius="xl" color="meridian" name={user.name} />
            <span className={classes.userName}>{user.name}</span>
          </span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {user.name} · {user.role}
          <br />
          {user.workspaceName}
        </Menu.Label>
        {pendingCount > 0 ? (
          <Menu.Label>{pendingCount} not sent yet. They stay on this device and are sent when you are back.</Menu.Label>
        ) : null}
        <Menu.Divider />
        <Menu.Item className={classes.themeItem ?? ''} onClick={theme.use}>
          Use the {theme.other} theme
        </Menu.Item>
        <Menu.Item onClick={onHealth}>Health of this device …</Menu.Item>
        <Menu.Item onClick={onSimulate}>Simulate a bad day …</Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={onSignOut}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
