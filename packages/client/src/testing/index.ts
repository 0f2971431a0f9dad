export { BrowserSimulator } from './browser-simulator.ts';
export type { ErrorMode, SimulatedAnswer } from './error-modes.ts';
export { FakeClock } from './fake-clock.ts';
export { FaultyServer, type RequestErrorMode } from './faulty-server.ts';
export { type Caller, type LedgerRow } from './ledger.ts';
export {
  type LossRates,
  NetworkSimulator,
  type NetworkSimulatorOptions,
  type SimulatedFetch,
} from './network-simulator.ts';
export type { Route, RouteRequest } from './routes.ts';
export {
  type ErrorModeOptions,
  type RateLimitResponse,
  type ServerEffect,
  ServerSimulator,
  type ServerSimulatorOptions,
  type SimulatedRequest,
} from './server-simulator.ts';
export type { Row, ServerHandler, ServerHandlerContext, TableRules } from './server-tables.ts';
export { SecureStoreSimulator } from './secure-store-simulator.ts';
export type { SimulatedTime } from './simulated-time.ts';
export { realTime } from './system-real-time.ts';
export { type FailingWrites, StorageSimulator, type StorageSimulatorOptions } from './storage-simulator.ts';
export { SupabaseSimulator } from './supabase-simulator.ts';
export {
  createTestApp,
  type RestartOptions,
  TestApp,
  type TestAppOptions,
  type TestQueueOptions,
} from './test-app.ts';
