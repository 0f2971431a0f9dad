import { defineConfig } from 'tsdown';
import { entriesOf } from '../../scripts/build/entries.ts';

export default defineConfig({
  entry: entriesOf(import.meta.dirname),
  tsconfig: 'tsconfig.src.json',
  format: 'esm',
  platform: 'neutral',
  target: 'es2022',
  dts: true,
  sourcemap: true,
  clean: true,
  fixedExtension: false,
});
