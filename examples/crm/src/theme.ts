import { createTheme, type MantineColorsTuple } from '@mantine/core';

/** Deep water to sky: the one colour of the firm. */
const meridian: MantineColorsTuple = [
  '#e6f6f8',
  '#d2ebef',
  '#a5d6de',
  '#75c0cc',
  '#4dadbd',
  '#34a1b3',
  '#228fa2',
  '#0f7a8b',
  '#0b6b78',
  '#00525e',
];

/** Night over water, for the dark theme's surfaces and lines. */
const dark: MantineColorsTuple = [
  '#dce5ec',
  '#b7c4cf',
  '#93a2b1',
  '#61717f',
  '#2c3946',
  '#22303c',
  '#182430',
  '#121a22',
  '#0d141b',
  '#090e13',
];

export const theme = createTheme({
  primaryColor: 'meridian',
  primaryShade: { light: 8, dark: 7 },
  colors: { meridian, dark },
  fontFamily: 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  headings: { fontWeight: '650' },
  defaultRadius: 'md',
  cursorType: 'pointer',
});
