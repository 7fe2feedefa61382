import { button, element } from './element.ts';

export interface Pane {
  readonly label: string;
  readonly element: HTMLElement;
}

/** Panes side by side; on a narrow screen one of them, chosen by buttons. */
export class Panes {
  readonly navigation = element('nav', { class: 'pane-navigation', 'aria-label': 'Panes' });
  readonly element = element('main', { class: 'panes' });
  readonly #onChange: () => void;
  #panes: readonly Pane[] = [];
  /** The pane that the person has chosen; until then the first one is shown. */
  #chosen: HTMLElement | undefined;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  show(panes: readonly Pane[]): void {
    this.#panes = panes;
    // The keyboard reaches the panes in the order of the screen; a pane that is there already is not moved, so that it keeps the focus.
    panes.reduceRight<HTMLElement | null>((next, { element: pane }) => {
      if (!this.element.contains(pane)) this.element.insertBefore(pane, next);
      return pane;
    }, null);
    this.navigation.replaceChildren(...panes.map((pane) => button(pane.label, () => this.#choose(pane.element))));
    this.#activate(this.#chosen ?? panes[0]?.element);
  }

  #choose(pane: HTMLElement): void {
    this.#chosen = pane;
    this.#activate(pane);
  }

  #activate(chosen: HTMLElement | undefined): void {
    this.#panes.forEach(({ element: pane }, index) => {
      pane.classList.toggle('active', pane === chosen);
      this.navigation.children[index]?.setAttribute('aria-current', String(pane === chosen));
    });
    this.#onChange();
  }

  /** Marks panes in which something new has happened while another one is shown. */
  mark(pane: HTMLElement, hasNews: boolean): void {
    const index = this.#panes.findIndex((each) => each.element === pane);
    const choose = this.navigation.children[index];
    if (choose === undefined) return;
    choose.querySelector('.unread')?.remove();
    if (hasNews)
      choose.append(element('span', { class: 'unread' }, ' •', element('span', { class: 'hidden' }, ' new')));
  }
}
