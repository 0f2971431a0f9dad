import axe from 'axe-core';
import { expect } from 'vitest';
import styles from '../styles.css?inline';

/** What axe finds serious or critical in what is on the page: rule, and the elements it is about. In either theme it is nothing. */
export async function expectAccessibleInBothThemes(): Promise<void> {
  const sheet = document.createElement('style');
  sheet.textContent = `${styles} :root { color-scheme: var(--scheme); background: Canvas; color: CanvasText; }`;
  document.head.append(sheet);
  for (const scheme of ['light', 'dark']) {
    document.documentElement.style.setProperty('--scheme', scheme);
    const { violations } = await axe.run(document.body, { resultTypes: ['violations'] });
    const issues = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${scheme}: ${id}: ${html}`));
    expect(issues).toEqual([]);
  }
  sheet.remove();
}
