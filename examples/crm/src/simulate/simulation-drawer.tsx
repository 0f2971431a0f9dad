import { Button, Drawer, Radio, Slider, Stack, Switch, Text } from '@mantine/core';
import { type ReactNode, useId, useSyncExternalStore } from 'react';
import { useWorkspace } from '../workspace/workspace-context.ts';
import { FAULTS, type Fault, isAtRest, NOTHING_WRONG, type SimulationSettings } from './simulation.ts';
import classes from './simulation.module.css';
import { describeSimulation, FAULT_WORDS } from './simulation-words.ts';

export function useSimulation(): SimulationSettings {
  const { simulation } = useWorkspace();
  return useSyncExternalStore(simulation.subscribe, simulation.getSnapshot);
}

/** A bad day at a press: what may go wrong between this page, its device and the server. */
export function SimulationDrawer({
  opened,
  onClose,
}: {
  readonly opened: boolean;
  readonly onClose: () => void;
}): ReactNode {
  const { simulation } = useWorkspace();
  const settings = useSimulation();
  const latencyId = useId();
  const lossId = useId();
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      title={<Text fw={650}>Simulate a bad day</Text>}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack gap="lg">
        <Text size="sm" className="soft">
          What goes wrong here goes wrong before the real server and the real store of this page. It holds for this tab
          only: with several tabs open, one of them sends for all. Change an account and watch the pill above.
        </Text>
        <Switch
          label="Offline"
          description="Nothing leaves this tab."
          checked={settings.isOffline}
          onChange={({ currentTarget }) => simulation.set({ isOffline: currentTarget.checked })}
        />
        <div>
          <Text size="sm" fw={500} id={latencyId}>
            Latency: {settings.latencyMs} ms
          </Text>
          <Slider
            aria-labelledby={latencyId}
            thumbLabel="Latency in milliseconds"
            min={0}
            max={5_000}
            step={250}
            label={null}
            value={settings.latencyMs}
            onChange={(latencyMs) => simulation.set({ latencyMs })}
          />
        </div>
        <div>
          <Text size="sm" fw={500} id={lossId}>
            Lost on the way: {settings.lossPercent} %
          </Text>
          <Slider
            aria-labelledby={lossId}
            thumbLabel="Lost requests and answers in percent"
            min={0}
            max={100}
            step={10}
            label={null}
            value={settings.lossPercent}
            onChange={(lossPercent) => simulation.set({ lossPercent })}
          />
        </div>
        <Radio.Group
          label="The server"
          value={settings.fault}
          onChange={(fault) => simulation.set({ fault: fault as Fault })}
        >
          <Stack gap="xs" mt="xs">
            {FAULTS.map((fault) => (
              <Radio key={fault} value={fault} label={FAULT_WORDS[fault].label} description={FAULT_WORDS[fault].hint} />
            ))}
          </Stack>
        </Radio.Group>
        <Switch
          label="Full disk"
          description="Nothing can be stored on this device. A change that cannot be stored is refused, and stays in its form."
          checked={settings.isDiskFull}
          onChange={({ currentTarget }) => simulation.set({ isDiskFull: currentTarget.checked })}
        />
        <Button variant="default" disabled={isAtRest(settings)} onClick={() => simulation.set(NOTHING_WRONG)}>
          Everything works again
        </Button>
      </Stack>
    </Drawer>
  );
}

/** Says what is simulated as long as anything is, so that nobody takes it for the truth. */
export function SimulationNotice({ onOpen }: { readonly onOpen: () => void }): ReactNode {
  const { simulation } = useWorkspace();
  const settings = useSimulation();
  if (isAtRest(settings)) return null;
  return (
    <div className={classes.notice} role="status">
      <span>Simulating: {describeSimulation(settings)}</span>
      <span className={classes.actions}>
        <Button size="compact-sm" variant="subtle" onClick={onOpen}>
          Change
        </Button>
        <Button size="compact-sm" variant="subtle" onClick={() => simulation.set(NOTHING_WRONG)}>
          Stop
        </Button>
      </span>
    </div>
  );
}
