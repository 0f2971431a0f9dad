import { defineConfig } from 'tsdown';
import { entriesOf } from '../../scripts/build/entries.ts';

export default defineConfig({
  entry: { ...entriesOf(import.meta.dirname), cli: './src/cli/main.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node22.18',
  dts: true,
  sourcemap: true,
  clean: true,
  fixedExtension: false,
});
