// A page with a queue on IndexedDB or, when its address says so, on OPFS, in a browser to be killed: it gets its life in its address, and tells the server.
import { browserTabs, indexedDbStorage, workerStorage } from 'holdfast';
import { live, type VictimLife, type VictimMessage } from './victim.ts';

await live(JSON.parse(decodeURIComponent(location.hash.slice(1))) as VictimLife, {
  storage:
    location.search === '?opfs'
      ? workerStorage({ worker: () => new Worker('/worker.js', { type: 'module' }) })
      : indexedDbStorage(),
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
