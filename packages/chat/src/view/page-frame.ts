import { AdvisedError, adviceFor } from '../person/advice.ts';
import { element } from './element.ts';

/** The parts that all pages have. */
export function pageFrame(actions: readonly HTMLElement[], content: readonly HTMLElement[]): HTMLElement[] {
  return [
    element(
      'header',
      { class: 'page-header' },
      element('h1', {}, 'Nightjar', element('span', {}, ' chat')),
      element('p', {}, 'Messages are encrypted in this browser. The server delivers them and cannot read them.'),
      element('div', { class: 'page-actions' }, ...actions),
    ),
    ...content,
  ];
}

/** @throws AdvisedError where browsers have no WebCrypto. */
export function requireSecureContext(): void {
  if (isSecureContext) return;
  throw new AdvisedError(
    'Browsers encrypt only on secure pages. Open this page by https, or by http://127.0.0.1 on this machine.',
  );
}

/** Shows an error that stops the page, or a part of it. */
export function showPageProblem(error: unknown): void {
  const main = document.querySelector('main') ?? document.body.appendChild(element('main'));
  main.before(element('p', { class: 'page-problem', role: 'alert' }, adviceFor(error)));
}
