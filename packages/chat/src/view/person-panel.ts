import { adviceFor } from '../person/advice.ts';
import { listNames } from '../person/directory.ts';
import type { Directory } from '../person/directory.ts';
import type { ConversationHistory } from '../person/line.ts';
import type { Person, PersonState } from '../person/person.ts';
import { ConversationPanel } from './conversation-panel.ts';
import { button, element, setText, uniqueId } from './element.ts';
import { createPeopleForm } from './people-form.ts';
import type { PeopleForm } from './people-form.ts';

export interface PersonPanelOptions {
  readonly person: Person;
  readonly directory: Directory;
  /** Number of the colour of this person. */
  readonly colour: number;
  /** Called when another conversation is shown, and when something has happened in the one that is. */
  readonly onShow?: (convoId: string | undefined) => void;
  /** Deletes everything that this browser keeps of the person. */
  readonly startOver: () => void;
}

const stateTexts: Readonly<Record<PersonState, string>> = {
  offline: 'Offline',
  opening: 'Connecting …',
  online: 'Online',
  reconnecting: 'Connecting …',
  failed: 'Not connected',
};

/** The pane of one person: connection, conversations, and the one that is shown. */
export class PersonPanel {
  readonly element: HTMLElement;
  readonly #options: PersonPanelOptions;
  readonly #state = element('span', { class: 'state', role: 'status' });
  readonly #problem = element('p', { class: 'problem', role: 'alert' });
  readonly #toggle: HTMLButtonElement;
  readonly #startOver: HTMLButtonElement;
  readonly #list = element('ul', { class: 'conversations' });
  readonly #empty: HTMLElement;
  readonly #create: PeopleForm;
  readonly #conversation: ConversationPanel;
  #selected: string | undefined;
  #ownProblem = '';
  #isScheduled = false;

  constructor(options: PersonPanelOptions) {
    const { person, directory, startOver } = options;
    this.#options = options;
    this.#toggle = button('Go online', () => this.#toggleConnection());
    this.#startOver = button('Start over on this device', startOver, { hidden: true });
    this.#create = createPeopleForm('New conversation', {
      legend: 'Who should be in it?',
      submitLabel: 'Start',
      directory,
      excluded: () => [person.did],
      onSubmit: async (dids) => this.#select(await person.createConversation(dids)),
    });
    this.#empty = element(
      'div',
      { class: 'empty' },
      element('p', {}, 'No conversation yet.'),
      button('Start a conversation', () => this.#create.open(), { class: 'primary' }),
    );
    const run = (task: () => Promise<unknown>): void => this.#run(task);
    this.#conversation = new ConversationPanel({ person, directory, run });
    this.element = this.#createElement();
    person.onChange(() => this.#schedule());
    this.#update();
  }

  /** The conversation that is shown. */
  get convoId(): string | undefined {
    return this.#selected;
  }

  #createElement(): HTMLElement {
    const { person, colour } = this.#options;
    const headingId = uniqueId('person');
    return element(
      'section',
      { class: `pane person colour-${colour}`, 'aria-labelledby': headingId },
      element(
        'header',
        {},
        element('span', { class: 'avatar', 'aria-hidden': 'true' }, person.name.slice(0, 1).toUpperCase()),
        element(
          'div',
          { class: 'who' },
          element('h2', { id: headingId }, person.name),
          element('p', {}, person.handle),
        ),
        this.#state,
        this.#toggle,
      ),
      element('div', { class: 'problems' }, this.#problem, this.#startOver),
      element('nav', { 'aria-label': `Conversations of ${person.name}` }, this.#list, this.#create.opener),
      this.#create.form,
      this.#empty,
      this.#conversation.element,
    );
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Many events may come at once; a timer also runs in a tab that is not shown.
    setTimeout(() => {
      this.#isScheduled = false;
      this.#update();
    }, 16);
  }

  #update(): void {
    const { person, onShow } = this.#options;
    const { state, conversations } = person;
    setText(this.#state, stateTexts[state]);
    this.element.dataset['state'] = state;
    const isOff = state === 'offline' || state === 'failed';
    setText(this.#toggle, isOff ? 'Go online' : 'Go offline');
    this.#toggle.disabled = state === 'opening';
    setText(this.#problem, person.problem === '' ? this.#ownProblem : person.problem);
    this.#startOver.hidden = state !== 'failed';
    if (!conversations.some(({ convoId }) => convoId === this.#selected))
      this.#selected = conversations.at(-1)?.convoId;
    this.#updateList(conversations);
    const selected = conversations.find(({ convoId }) => convoId === this.#selected);
    this.#empty.hidden = selected !== undefined || state === 'opening';
    this.#conversation.element.hidden = selected === undefined;
    if (selected !== undefined) {
      this.#conversation.show(selected);
      if (this.element.checkVisibility()) this.#markRead(selected.convoId);
    }
    onShow?.(this.#selected);
  }

  #markRead(convoId: string): void {
    this.#options.person.markRead(convoId).catch((error: unknown) => {
      this.#ownProblem = adviceFor(error);
    });
  }

  #updateList(conversations: readonly ConversationHistory[]): void {
    const items = conversations.map((each) => ({ ...each, title: this.#titleOf(each) }));
    const state = JSON.stringify(items.map(({ convoId, title, facts }) => [convoId, title, facts.unreadCount]));
    if (this.#list.dataset['state'] !== state) {
      this.#list.dataset['state'] = state;
      const hadFocus = this.#list.contains(document.activeElement);
      this.#list.replaceChildren(
        ...items.map(({ convoId, title, facts: { unreadCount } }) => {
          const choose = button(title, () => this.#select(convoId), { 'data-convo-id': convoId });
          if (unreadCount > 0 && convoId !== this.#selected) {
            choose.append(
              element('span', { class: 'unread' }, ` ${unreadCount}`, element('span', { class: 'hidden' }, ' new')),
            );
          }
          return element('li', {}, choose);
        }),
      );
      if (hadFocus) this.#selectedButton()?.focus();
    }
    for (const each of this.#list.querySelectorAll('button')) {
      each.setAttribute('aria-current', String(each.dataset['convoId'] === this.#selected));
    }
  }

  #selectedButton(): HTMLButtonElement | undefined {
    return [...this.#list.querySelectorAll('button')].find(({ dataset }) => dataset['convoId'] === this.#selected);
  }

  #titleOf({ facts: { members, isMember } }: ConversationHistory): string {
    const { person, directory } = this.#options;
    const others = members.filter((did) => did !== person.did).map((did) => directory.nameOf(did));
    const names = others.length === 0 ? 'Only you' : listNames(others);
    return isMember ? names : `${names} (ended)`;
  }

  #select(convoId: string): void {
    this.#selected = convoId;
    this.#update();
    this.#conversation.focusInput();
  }

  #toggleConnection(): void {
    const { person } = this.#options;
    const isOff = person.state === 'offline' || person.state === 'failed';
    this.#run(() => (isOff ? person.goOnline() : person.goOffline()));
  }

  /** Runs a task, and shows what went wrong until the next one. */
  #run(task: () => Promise<unknown>): void {
    const run = async (): Promise<void> => {
      try {
        await task();
        if (this.#ownProblem === '') return;
        this.#ownProblem = '';
      } catch (error) {
        this.#ownProblem = adviceFor(error);
      }
      this.#schedule();
    };
    void run();
  }
}
