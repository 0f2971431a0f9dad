import { expect } from 'vitest';
import type { Page } from 'playwright-core';

/** What a person does with the page, in their words. */
export interface CrmPage {
  readonly page: Page;
  readonly signIn: (name: string) => Promise<void>;
  /** Goes to an account without loading the page anew, as a click on its row does. */
  readonly openAccount: (id: string) => Promise<void>;
  /** Edits the notes of an account through the form; resolves when the page says that it is saved on this device. */
  readonly writeNotes: (id: string, notes: string) => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly pill: () => Promise<string>;
  /** Waits for the pill to say so. */
  readonly untilPill: (text: RegExp, timeoutMs?: number) => Promise<void>;
}

export function crmPage(page: Page): CrmPage {
  // a page that throws is a failure of its own, whatever is asserted afterwards
  page.on('pageerror', (error) => {
    throw error;
  });
  const pill = page.locator('button.holdfast-pill');
  const untilList = async (): Promise<void> => {
    await page.locator('[data-account]').first().waitFor();
  };
  const openAccount = async (id: string): Promise<void> => {
    await page.evaluate((path) => history.pushState(null, '', path), `/accounts/${id}`);
    await page.locator(`[data-detail="${id}"]`).waitFor({ state: 'attached' });
  };
  return {
    page,
    signIn: async (name) => {
      await page.getByRole('button', { name }).click();
      await untilList();
      // from here on it opens without a network
      await page.evaluate(() => navigator.serviceWorker.ready);
    },
    openAccount,
    writeNotes: async (id, notes) => {
      await openAccount(id);
      await page.getByRole('button', { name: 'Edit', exact: true }).click();
      await page.getByLabel('Notes').fill(notes);
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.locator('[data-notes]', { hasText: notes }).waitFor();
    },
    reload: async () => {
      await page.reload({ waitUntil: 'domcontentloaded' });
      await pill.waitFor();
    },
    pill: () => pill.innerText(),
    untilPill: async (text, timeoutMs = 30_000) => {
      await expect.poll(() => pill.innerText(), { timeout: timeoutMs, interval: 100 }).toMatch(text);
    },
  };
}
