import * as v from 'valibot';
import { toHoldfastError, type HoldfastError } from '../../mutation/holdfast-error.ts';
import type { ClientAnchor } from '../../ports/client-anchor.ts';
import type { Clock } from '../../ports/clock.ts';

/** What an anchor keeps of a client. */
export interface ClientMark {
  readonly clientId: string;
  /** How far its numbers had come. */
  readonly lastSeq: number;
  readonly unsentCount: number;
}

export interface AnchorKeeperPorts {
  readonly anchor: ClientAnchor;
  readonly clock: Clock;
  readonly report: (error: HoldfastError) => void;
}

/** An anchor is written at most once in this time, in milliseconds: keychains are slow. */
const ANCHOR_MS = 5_000;

const markSchema = v.object({ clientId: v.string(), lastSeq: v.number(), unsentCount: v.number() });

/** Writes how far a client has come into its anchor, now and then. What goes wrong there costs nothing but the anchor. */
export class AnchorKeeper {
  private readonly ports: AnchorKeeperPorts;
  private written = '';
  private callOff: (() => void) | null = null;
  private hasFailed = false;

  constructor(ports: AnchorKeeperPorts) {
    this.ports = ports;
  }

  /** Null also for what does not read. */
  async read(name: string): Promise<ClientMark | null> {
    try {
      const text = await this.ports.anchor.read(name);
      const parsed = text === null ? null : v.safeParse(markSchema, JSON.parse(text));
      return parsed?.success === true ? parsed.output : null;
    } catch (error) {
      this.failed(error);
      return null;
    }
  }

  /** Something may have changed. */
  note(name: string, mark: ClientMark, isUrgent = false): void {
    if (isUrgent) {
      void this.write(name, mark);
      return;
    }
    if (this.callOff !== null || JSON.stringify(mark) === this.written) return;
    this.callOff = this.ports.clock.schedule(ANCHOR_MS, () => {
      this.callOff = null;
      void this.write(name, this.latest?.() ?? mark);
    });
  }

  /** Asked when it is written: it may have come further since. */
  latest: (() => ClientMark | null) | null = null;

  end(): void {
    this.callOff?.();
    this.callOff = null;
  }

  private async write(name: string, mark: ClientMark): Promise<void> {
    const text = JSON.stringify(mark);
    if (text === this.written) return;
    this.written = text;
    try {
      await this.ports.anchor.write(name, text);
    } catch (error) {
      this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (!this.hasFailed) this.ports.report(toHoldfastError(error));
    this.hasFailed = true;
  }
}
