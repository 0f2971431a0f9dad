import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export interface ServerProcess {
  readonly port: number;
  /** Everything it wrote, for assertions and for failures. */
  readonly output: () => string;
  /** Sends the signal and resolves with the exit code. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>;
}

export interface FailedStart {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'main.ts');

/** Starts the example's server as a person does, and resolves when it has printed its address; rejects with its output. */
export function startServer(env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  return new Promise((resolve, reject) => {
    const child = spawnServer(env);
    const exited = exitOf(child);
    let output = '';
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const port = /http:\/\/localhost:(\d+)/.exec(output)?.[1];
      if (port === undefined) return;
      resolve({
        port: Number(port),
        output: () => output,
        stop: (signal = 'SIGTERM') => {
          child.kill(signal);
          return exited;
        },
      });
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    void exited.then((code) => reject(new Error(`The server ended with code ${code}:\n${output}`)));
  });
}

/** Starts a server that is expected to give up, and resolves with what it said. */
export async function startInVain(env: Readonly<Record<string, string>>): Promise<FailedStart> {
  const child = spawnServer(env);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return { exitCode: await exitOf(child), stdout, stderr };
}

function spawnServer(env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, ['--conditions=@holdfast/source', MAIN], {
    env: { ...process.env, DATABASE_URL: '', PORT: '0', HOST: 'localhost', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve));
}
