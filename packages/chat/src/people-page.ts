import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import type { MlsEngine } from '#client/mls/mls-engine.ts';
import { AdvisedError } from './person/advice.ts';
import { shortDid } from './person/directory.ts';
import type { Directory } from './person/directory.ts';
import { openPerson, startOver } from './person/open-person.ts';
import type { Person } from './person/person.ts';
import { getDevelopmentToken, readDevelopmentPeople, readStoredRows } from './sign-in/development-people.ts';
import type { DevelopmentPeople, DevelopmentPerson } from './sign-in/development-people.ts';
import { element } from './view/element.ts';
import { Panes } from './view/panes.ts';
import { pageFrame, requireSecureContext, showPageProblem } from './view/page-frame.ts';
import { PersonPanel } from './view/person-panel.ts';
import { StoredRowsPanel } from './view/stored-rows-panel.ts';

const displayName = (name: string): string => name.slice(0, 1).toUpperCase() + name.slice(1);

/** The page with people of the development server side by side. */
class PeoplePage {
  readonly #known: DevelopmentPeople;
  readonly #engine: MlsEngine;
  readonly #directory: Directory;
  readonly #stored = new StoredRowsPanel(readStoredRows);
  readonly #panes = new Panes(() => this.#refresh());
  readonly #openers = element('div', { class: 'openers' });
  readonly #panels = new Map<string, { readonly person: Person; readonly panel: PersonPanel }>();
  #shown: { readonly name: string; readonly convoId: string | undefined } | undefined;

  constructor(known: DevelopmentPeople, engine: MlsEngine) {
    this.#known = known;
    this.#engine = engine;
    const names = new Map(known.people.map(({ did, name }) => [did, displayName(name)]));
    this.#directory = {
      nameOf: (did) => names.get(did) ?? shortDid(did),
      contacts: known.people.map(({ did, name }) => ({ did, name: displayName(name) })),
      findDid: (did) => Promise.resolve(did),
    };
  }

  async show(names: readonly string[]): Promise<void> {
    const account = element('a', { href: '/chat/account' }, 'Your own account');
    document.body.append(...pageFrame([this.#openers, account], [this.#panes.navigation, this.#panes.element]));
    await Promise.all(names.map((name, index) => this.#open(name, index)));
  }

  async #open(name: string, colour: number): Promise<void> {
    const found = this.#known.people.find((each) => each.name === name);
    if (found === undefined) throw new AdvisedError(`The server has no person ${name}. Open /chat without names.`);
    const { did, handle } = found;
    const person = await openPerson({
      did,
      handle,
      name: displayName(name),
      serviceDid: this.#known.serviceDid,
      engine: this.#engine,
      getToken: (nsid, signal) => getDevelopmentToken(name, nsid, signal),
    });
    const panel = new PersonPanel({
      person,
      directory: this.#directory,
      colour: colour % 5,
      onShow: (convoId) => this.#onShow(name, convoId),
      startOver: () => void startOver(person, this.#known.serviceDid).catch(showPageProblem),
    });
    this.#panels.set(name, { person, panel });
    this.#arrange();
    await person.goOnline();
  }

  #arrange(): void {
    const open = this.#known.people.flatMap(({ name }) => {
      const entry = this.#panels.get(name);
      return entry === undefined ? [] : [{ label: entry.person.name, element: entry.panel.element }];
    });
    this.#panes.show([...open, { label: 'Server', element: this.#stored.element }]);
    const others = this.#known.people.filter(({ name }) => !this.#panels.has(name));
    this.#openers.replaceChildren(...(others.length === 0 ? [] : [this.#opener(others)]));
  }

  /** A form that opens one more person. */
  #opener(others: readonly DevelopmentPerson[]): HTMLElement {
    const options = others.map(({ name }) => element('option', { value: name }, displayName(name)));
    const choice = element('select', { 'aria-label': 'Person to open' }, ...options);
    const form = element('form', { class: 'opener' }, choice, element('button', { type: 'submit' }, 'Open'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#open(choice.value, this.#panels.size)
        .then(() => history.replaceState(null, '', `?people=${[...this.#panels.keys()].join(',')}`))
        .catch(showPageProblem);
    });
    return form;
  }

  /** Shows the stored rows of the conversation in which something has happened last. */
  #onShow(name: string, convoId: string | undefined): void {
    if (convoId !== undefined || this.#shown === undefined || this.#shown.name === name)
      this.#shown = { name, convoId };
    this.#refresh();
  }

  #refresh(): void {
    const { name = '', convoId } = this.#shown ?? {};
    const person = this.#panels.get(name)?.person;
    const members = convoId === undefined ? [] : (person?.conversation(convoId)?.facts.members ?? []);
    this.#stored.show(convoId, `The conversation of ${members.map((did) => this.#directory.nameOf(did)).join(', ')}`);
    for (const { person: each, panel } of this.#panels.values()) {
      const hasNews = each.conversations.some(({ facts }) => facts.unreadCount > 0);
      this.#panes.mark(panel.element, hasNews && !panel.element.checkVisibility());
    }
  }
}

async function main(): Promise<void> {
  requireSecureContext();
  const known = await readDevelopmentPeople();
  if (known === undefined) {
    location.replace('/chat/account');
    return;
  }
  const asked = new URLSearchParams(location.search).get('people');
  const page = new PeoplePage(known, await createTsMlsEngine());
  await page.show(asked === null ? ['alice', 'bob'] : asked.split(',').slice(0, 6));
}

main().catch(showPageProblem);
