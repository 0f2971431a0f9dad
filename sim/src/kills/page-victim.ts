// A page with a queue on IndexedDB, in a browser to be killed: it gets its life in its address, and tells the server.
import { browserTabs, indexedDbStorage } from 'holdfast';
import { live, type VictimLife, type VictimMessage } from './victim.ts';

await live(JSON.parse(decodeURIComponent(location.hash.slice(1))) as VictimLife, {
  storage: indexedDbStorage(),
  tabs: browserTabs,
  tell,
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

/** Returns when it has arrived: what is told before it is done must not be lost with the one who does it. */
function tell(message: VictimMessage): void {
  const request = new XMLHttpRequest();
  request.open('POST', '/told', false);
  request.send(JSON.stringify(message));
}
