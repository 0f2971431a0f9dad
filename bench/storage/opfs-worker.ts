// Runs in the worker that keeps the log.
import { opfsStorage, serveStorage } from 'holdfast';

serveStorage(opfsStorage());
