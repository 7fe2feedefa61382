import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { findViolations } from '../support/browser/accessibility.ts';
import { hasChromium, startChromium } from '../support/browser/chromium.ts';

const phone = { width: 390, height: 844 };
const desk = { width: 1_280, height: 900 };

describe.skipIf(!hasChromium)('in Chromium', { timeout: 120_000 }, () => {
  let bed: TestBed;
  let browser: Browser;
  const problems: string[] = [];

  beforeAll(async () => {
    bed = await startTestBed();
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await bed.stop();
  });

  /** Opens a page of the service; errors and refused resources of the page are noted in `problems`. */
  async function open(
    path: string,
    options: { viewport: typeof phone; colorScheme?: 'light' | 'dark' },
  ): Promise<Page> {
    const page = await browser.newPage(options);
    page.on('console', (message) => void problems.push(`${path}: ${message.text()}`));
    page.on('pageerror', (error) => void problems.push(`${path}: ${error.message}`));
    await page.goto(`${bed.server().url}${path}`);
    return page;
  }

  const shown = ['/docs', '/docs/api/sendMessage', '/docs/search?q=epoch'];
  const looks = [
    { viewport: desk, colorScheme: 'light' },
    { viewport: phone, colorScheme: 'dark' },
  ] as const;

  test.each(shown)('axe finds nothing on %s', async (path) => {
    for (const look of looks) {
      const page = await open(path, look);
      expect(await findViolations(page)).toEqual([]);
      await page.close();
    }
  });

  test('a defect is found', async () => {
    const page = await open('/docs', { viewport: desk });
    await page.evaluate("document.querySelector('label').remove(); document.querySelector('input').placeholder = ''");
    expect((await findViolations(page)).join('')).toContain('label: Form elements must have labels: <input');
    await page.close();
  });

  test('a page does not scroll sideways on a phone', async () => {
    for (const path of shown) {
      const page = await open(path, { viewport: phone });
      expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, phone.width]);
      await page.close();
    }
  });

  test('a reader finds a method by the search, and the list of pages shows where it is', async () => {
    const page = await open('/docs', { viewport: desk });
    await page.getByRole('searchbox').fill('publishKeyPackages');
    await page.keyboard.press('Enter');
    await page.getByRole('main').getByRole('link', { name: 'publishKeyPackages', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'publishKeyPackages' }).waitFor();
    const current = page.getByRole('navigation').getByRole('link', { name: 'publishKeyPackages', exact: true });
    expect(await current.getAttribute('aria-current')).toBe('page');
    await page.getByRole('link', { name: 'the errors of every method' }).click();
    await page.waitForURL('**/docs/api#errors-of-every-method');
    await page.close();
  });

  test('the policy of the pages refuses nothing that they have', () => {
    expect(problems).toEqual([]);
  });
});
