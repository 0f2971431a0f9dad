import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const folder = join(root, 'docs', 'decisions');
const pages = readdirSync(folder).sort();

test('docs · each decision has a number of its own, counting up from 1, in its name and its title', () => {
  const numbers = pages.map((page) => Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(page)?.[1]));
  expect(numbers).toEqual(pages.map((_, index) => index + 1));
  const titles = pages.map((page) => readFileSync(join(folder, page), 'utf8').split('\n', 1)[0] ?? '');
  expect(titles.map((title) => Number(/^# (\d+) · \S/.exec(title)?.[1]))).toEqual(numbers);
});

test('docs · a link to a decision names one that there is, and says its number', () => {
  const texts = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownIn('docs')];
  for (const file of texts) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [link, words = '', path = ''] of text.matchAll(/\[([^\]]*)\]\(([^)]*\b\d{4}-[a-z0-9-]+\.md)\)/g)) {
      const page = path.split('/').at(-1) ?? '';
      expect(resolve(root, dirname(file), path), `${link} in ${file}`).toBe(join(folder, page));
      expect(pages, `${link} in ${file}`).toContain(page);
      const [number] = /\d+/.exec(words) ?? [];
      if (number !== undefined) expect(Number(number), `${link} in ${file}`).toBe(Number(page.slice(0, 4)));
    }
  }
});

function markdownIn(path: string): readonly string[] {
  return readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) => {
    const inner = `${path}/${entry.name}`;
    return entry.isDirectory() ? markdownIn(inner) : entry.name.endsWith('.md') ? [inner] : [];
  });
}
