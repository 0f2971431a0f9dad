// The worker of a page whose queue is on OPFS.
import { opfsStorage, serveStorage } from 'holdfast';

serveStorage(opfsStorage());
