import type { Plant } from './plant.ts';
import { ANSWERING_PLANTS } from './plants/answering.ts';
import { CONFLICT_PLANTS } from './plants/conflicts.ts';
import { DELIVERING_PLANTS } from './plants/delivering.ts';
import { FILLING_PLANTS } from './plants/filling.ts';
import { MERGING_PLANTS } from './plants/merging.ts';
import { REWINDING_PLANTS } from './plants/rewinding.ts';
import { SERVER_PLANTS } from './plants/server.ts';
import { SHOWING_PLANTS } from './plants/showing.ts';
import { STEERING_PLANTS } from './plants/steering.ts';
import { STORING_PLANTS } from './plants/storing.ts';
import { TABS_PLANTS } from './plants/tabs.ts';
import { VERSION_PLANTS } from './plants/versions.ts';
import { WAITING_PLANTS } from './plants/waiting.ts';

/** Each of them must be found by the simulation; `npm run sim -- --plants` shows after how many seeds. */
export const PLANTS: readonly Plant[] = [
  ...STORING_PLANTS,
  ...MERGING_PLANTS,
  ...DELIVERING_PLANTS,
  ...WAITING_PLANTS,
  ...TABS_PLANTS,
  ...SHOWING_PLANTS,
  ...FILLING_PLANTS,
  ...SERVER_PLANTS,
  ...STEERING_PLANTS,
  ...CONFLICT_PLANTS,
  ...VERSION_PLANTS,
  ...REWINDING_PLANTS,
  ...ANSWERING_PLANTS,
];
