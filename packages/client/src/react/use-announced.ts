import { useEffect, useState } from 'react';
import { systemClock } from '../ports/system-clock.ts';
import { useLatest } from './resources/use-latest.ts';

/** Words are announced when they have stayed for so long, whatever their figures do meanwhile, in milliseconds. */
const WORDS_MS = 1_000;
/** Figures are announced when they have come to rest for so long, in milliseconds. */
const FIGURES_MS = 3_000;

/** What a live region is to say of a text that changes often: a screen reader would read out every count of a long queue. */
export function useAnnounced(text: string): string {
  const [announced, setAnnounced] = useState(text);
  const latest = useLatest(text);
  const words = text.replace(/\d+/g, '');
  useEffect(() => systemClock.schedule(WORDS_MS, () => setAnnounced(latest.current)), [words, latest]);
  useEffect(() => systemClock.schedule(FIGURES_MS, () => setAnnounced(text)), [text]);
  return announced;
}
