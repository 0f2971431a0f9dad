/**
 * Situations worth being in: a simulation in which nobody ever pauses while something is on its way says nothing about
 * pausing. Each is counted where it happens, and a test shows that all of them do.
 */
export const FACTS = [
  // who delivers
  'two tabs hold the lead at once',
  'the lead is taken by force',
  'a tab is put away while it leads',
  'the lead passes on while work is unsettled',
  'a store refuses a tab that has lost the lead',
  'two tabs want the same number',
  // dying and sleeping
  'a tab dies while it opens',
  'a tab dies while something of its own is on its way',
  'a write of a dead tab is stored',
  'a tab dies between a write and hearing of it',
  'an answer comes to a tab that has died',
  'an answer comes to a frozen tab',
  'a tab cannot open',
  'a tab is closed while work is unsettled',
  // together, and at once
  'changes made together take effect',
  'changes made together are refused together',
  'a newer app delivers what an older one has stored',
  'an older app leaves alone what a newer one has stored',
  'two operators act on the same mutation at once',
  'of two operators one comes too late',
  'a request meets a server that is being replaced',
  'a server is replaced before it has answered what it did',
  // the queue itself
  'a queue is restarted while work is unsettled',
  'all that is stored is looked through',
  'what is known already is imported',
  'signed out once all was sent',
  'the keys of the store are away',
  // the server
  'a server is put back to an earlier state',
  'what a server has forgotten takes effect again',
  // adding
  'added while paused',
  'added before the queue had opened',
  'added in a tab that does not lead',
  'added while the line is cut',
  'an add is refused for want of storage',
  'an add that nobody heard of took effect',
  // sending
  'a batch of several',
  'sent while the rest is still being read',
  'a request arrives a second time',
  'a token expires before its request arrives',
  // what the server says
  'a duplicate is answered as applied',
  'a duplicate is answered as rejected',
  'one is refused for now',
  'one is rejected for good',
  // how it ends
  'attempts are spent',
  'a parent takes its child along',
  'a dead letter takes effect after all',
  'a retried dead letter takes effect',
  'a dead letter is discarded',
  'a tab tells the end of what another has added',
  // people
  'paused while something is on its way',
  'paused and resumed at once',
  'signed out with work that is kept',
  'discarded at a sign-out',
  'cancelled in time',
  'cancelled too late',
  'nobody can say whether it was cancelled',
  'the clock goes back while work is unsettled',
  'the faults end while work is unsettled',
] as const;

export type Fact = (typeof FACTS)[number];

/** Reached by one world in some hundred. */
export const RARE_FACTS: readonly Fact[] = ['a dead letter takes effect after all'];

/** How often each was reached in a world. */
export class Facts {
  readonly counts = new Map<Fact, number>();

  reached(fact: Fact): void {
    this.counts.set(fact, (this.counts.get(fact) ?? 0) + 1);
  }
}
