import axe from 'axe-core';
import type { Page } from 'playwright-core';

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

/** What axe reports about the page as it is now, best practices included: `rule: help: the element`. */
export async function findViolations(page: Page): Promise<string[]> {
  // The debugger evaluates it, so the content security policy of the page stays as it is.
  await page.evaluate(`${axe.source};0`);
  const { violations } = await page.evaluate<AxeResult>("axe.run(document, { resultTypes: ['violations'] })");
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 120)}`));
}
