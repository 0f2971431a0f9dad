import { opfsStorage } from '../../opfs/browser-opfs-storage.ts';
import { serveStorage } from '../browser-serve-storage.ts';

serveStorage(opfsStorage());
