// Runs in the worker that keeps the log.
import { serveOpfsStorage } from 'holdfast/opfs-worker';

serveOpfsStorage();
