import { serveOpfsStorage } from '../browser-log-worker.ts';

serveOpfsStorage();
