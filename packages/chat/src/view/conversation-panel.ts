import type { Directory } from '../person/directory.ts';
import type { ConversationHistory } from '../person/line.ts';
import { listNames } from '../person/directory.ts';
import type { Person } from '../person/person.ts';
import { button, element, setText, uniqueId } from './element.ts';
import { MessageLog } from './message-log.ts';
import { createPeopleForm } from './people-form.ts';

export interface ConversationPanelOptions {
  readonly person: Person;
  readonly directory: Directory;
  /** Runs a task, and shows the person what went wrong. */
  readonly run: (task: () => Promise<unknown>) => void;
}

/** One conversation: its members, its messages, and where to write. */
export class ConversationPanel {
  readonly element: HTMLElement;
  readonly #options: ConversationPanelOptions;
  readonly #members = element('ul', { class: 'members' });
  readonly #epoch = element('span', { class: 'epoch', title: 'Number of the commits so far' });
  readonly #typing = element('p', { class: 'typing' });
  readonly #ended: HTMLElement;
  readonly #rejoin: HTMLElement;
  readonly #controls: HTMLElement;
  readonly #log: MessageLog;
  readonly #composer: HTMLFormElement;
  readonly #input: HTMLInputElement;
  #convoId = '';
  #shownMembers = '';
  #typingSinceMs = 0;

  constructor(options: ConversationPanelOptions) {
    const { person, directory, run } = options;
    this.#options = options;
    this.#log = new MessageLog({
      did: person.did,
      directory,
      onSendAgain: (order) => person.sendAgain(this.#convoId, order),
      onDelete: (order) => run(() => person.deleteUnsent(this.#convoId, order)),
    });
    const inputId = uniqueId('message');
    this.#input = element('input', {
      id: inputId,
      name: 'text',
      autocomplete: 'off',
      maxlength: '4000',
      enterkeyhint: 'send',
    });
    this.#input.placeholder = `Write as ${person.name}`;
    this.#composer = element(
      'form',
      { class: 'composer' },
      element('label', { class: 'hidden', for: inputId }, `Message from ${person.name}`),
      this.#input,
      element('button', { type: 'submit', class: 'primary' }, 'Send'),
    );
    this.#composer.addEventListener('submit', (event) => this.#send(event));
    this.#input.addEventListener('input', () => this.#reportTyping());
    const add = createPeopleForm('Add person', {
      legend: 'Who should join?',
      submitLabel: 'Add',
      directory,
      excluded: () => person.conversation(this.#convoId)?.facts.members ?? [],
      onSubmit: async (dids) => {
        for (const did of dids) await person.add(this.#convoId, did);
      },
    });
    this.#rejoin = button('Join again', () => run(() => person.rejoin(this.#convoId)), { class: 'quiet' });
    const leave = button('Leave', () => run(() => person.leave(this.#convoId)), { class: 'quiet' });
    this.#controls = element('div', { class: 'controls' }, add.opener, this.#rejoin, leave, add.form);
    this.#ended = element(
      'p',
      { class: 'ended', hidden: true },
      'You cannot write here any more. ',
      button('Delete from this browser', () => run(() => person.deleteConversation(this.#convoId)), { class: 'quiet' }),
    );
    this.element = element(
      'div',
      { class: 'conversation' },
      element('div', { class: 'group' }, this.#members, this.#epoch, this.#controls),
      this.#log.element,
      this.#typing,
      this.#ended,
      this.#composer,
    );
  }

  show(conversation: ConversationHistory): void {
    const { convoId, facts } = conversation;
    const { person, directory } = this.#options;
    this.#convoId = convoId;
    this.#showMembers(conversation);
    setText(this.#epoch, `Epoch ${facts.epoch}`);
    this.#controls.hidden = !facts.isMember;
    this.#composer.hidden = !facts.isMember;
    this.#ended.hidden = facts.isMember;
    this.#rejoin.hidden = facts.refusedEpoch === undefined;
    const typing = person.typing(convoId).map((did) => directory.nameOf(did));
    setText(
      this.#typing,
      typing.length === 0 ? '' : `${listNames(typing)} ${typing.length === 1 ? 'is' : 'are'} typing …`,
    );
    this.#log.show(conversation);
  }

  focusInput(): void {
    this.#input.focus();
  }

  #showMembers({ convoId, facts }: ConversationHistory): void {
    const state = JSON.stringify([convoId, facts.isMember, facts.members]);
    if (state === this.#shownMembers) return;
    this.#shownMembers = state;
    const { person, directory, run } = this.#options;
    const others = facts.members.filter((did) => did !== person.did);
    const items = others.map((did) => {
      const name = directory.nameOf(did);
      const remove = button('×', () => run(() => person.remove(convoId, did)), {
        class: 'remove',
        'aria-label': `Remove ${name}`,
        title: `Remove ${name}`,
      });
      return element('li', {}, name, facts.isMember ? remove : undefined);
    });
    const hadFocus = this.#members.contains(document.activeElement);
    this.#members.replaceChildren(...(facts.isMember ? [element('li', {}, 'You')] : []), ...items);
    // The button that was used is gone, and the focus would be lost with it.
    if (hadFocus) this.#input.focus();
  }

  #send(event: Event): void {
    event.preventDefault();
    const text = this.#input.value.trim();
    if (text === '') return;
    this.#input.value = '';
    this.#typingSinceMs = 0;
    this.#options.person.reportTyping(this.#convoId, false);
    this.#options.run(() => this.#options.person.send(this.#convoId, text));
  }

  /** Reports every few seconds that the person is typing. */
  #reportTyping(): void {
    const nowMs = Date.now();
    if (nowMs - this.#typingSinceMs < 3_000) return;
    this.#typingSinceMs = nowMs;
    this.#options.person.reportTyping(this.#convoId, true);
  }
}
