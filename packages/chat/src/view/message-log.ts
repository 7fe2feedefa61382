import { listNames } from '../person/directory.ts';
import type { Directory } from '../person/directory.ts';
import type { ConversationHistory, Line, Unsent } from '../person/line.ts';
import { button, element } from './element.ts';

export interface MessageLogOptions {
  /** DID of the person who reads. */
  readonly did: string;
  readonly directory: Directory;
  readonly onSendAgain: (order: number) => void;
  readonly onDelete: (order: number) => void;
}

/** The lines of one conversation; the end stays in view while the reader has not scrolled up. */
export class MessageLog {
  readonly element: HTMLElement;
  readonly #options: MessageLogOptions;
  readonly #list = element('ol', { class: 'lines' });
  readonly #unsent = element('ol', { class: 'lines unsent' });
  #shown: { readonly convoId: string; readonly lineCount: number } | undefined;
  /** Elements of the unsent messages by the message that they show, so that only changed ones are made anew. */
  #shownUnsent = new Map<Unsent, HTMLElement>();

  constructor(options: MessageLogOptions) {
    this.#options = options;
    this.element = element(
      'div',
      { class: 'log', role: 'log', tabindex: '0', 'aria-label': 'Messages' },
      this.#list,
      this.#unsent,
    );
  }

  show(conversation: ConversationHistory): void {
    const { convoId, lines, unsent } = conversation;
    const log = this.element;
    const isNew = this.#shown?.convoId !== convoId || this.#shown.lineCount > lines.length;
    const isAtEnd = isNew || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    if (isNew) this.#list.replaceChildren();
    const first = isNew ? 0 : (this.#shown?.lineCount ?? 0);
    this.#list.append(...lines.slice(first).map((line) => this.#lineElement(line)));
    this.#shown = { convoId, lineCount: lines.length };
    this.#showUnsent(unsent);
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  #showUnsent(unsent: readonly Unsent[]): void {
    const shown = this.#shownUnsent;
    this.#shownUnsent = new Map(unsent.map((each) => [each, shown.get(each) ?? this.#unsentElement(each)]));
    const elements = [...this.#shownUnsent.values()];
    for (const [each, old] of shown) if (!this.#shownUnsent.has(each)) old.remove();
    elements.forEach((each, index) => {
      const present = this.#unsent.children[index];
      if (present !== each) this.#unsent.insertBefore(each, present ?? null);
    });
  }

  #lineElement(line: Line): HTMLElement {
    if (line.kind !== 'message') return element('li', { class: 'note' }, this.#noteText(line));
    const isOwn = line.senderDid === this.#options.did;
    const time = new Date(line.receivedAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    return element(
      'li',
      { class: isOwn ? 'message own' : 'message', 'data-seq': String(line.seq) },
      element(
        'p',
        { class: 'meta' },
        element('span', { class: 'sender' }, isOwn ? 'You' : this.#options.directory.nameOf(line.senderDid)),
        element('span', { class: 'seq', title: 'Sequence number that the server gave' }, ` #${line.seq}`),
        element('time', { datetime: line.receivedAt, title: 'Time of the server, rounded' }, ` ${time}`),
      ),
      element('p', { class: 'text' }, line.text),
    );
  }

  #noteText(line: Exclude<Line, { kind: 'message' }>): string {
    const { did, directory } = this.#options;
    switch (line.kind) {
      case 'joined': {
        const others = line.members.filter((each) => each !== did).map((each) => directory.nameOf(each));
        return `You are in a conversation with ${others.length === 0 ? 'nobody yet' : listNames(others)}. Epoch ${line.epoch}.`;
      }
      case 'added':
        return `${directory.nameOf(line.did)} joined. Epoch ${line.epoch}.`;
      case 'removed':
        return `${directory.nameOf(line.did)} is not a member any more. Epoch ${line.epoch}.`;
      case 'keys-renewed':
        return `A member renewed their keys. Epoch ${line.epoch}.`;
      case 'ended':
        return 'You are not in this conversation any more. This browser has deleted its keys.';
      case 'unreadable':
        return `This device cannot decrypt message #${line.seq}.`;
      case 'commit-refused': {
        const name = directory.nameOf(line.committerDid);
        return `${name} changed the members, and is not an admin. This device does not follow. Ask an admin to remove ${name}, then join again.`;
      }
    }
  }

  #unsentElement({ order, text, state, problem }: Unsent): HTMLElement {
    const { onSendAgain, onDelete } = this.#options;
    const status = state === 'sending' ? 'Sending …' : 'Waits until you are online';
    return element(
      'li',
      { class: `message own ${state}` },
      element('p', { class: 'meta' }, state === 'failed' ? 'Not sent' : status),
      element('p', { class: 'text' }, text),
      ...(state === 'failed'
        ? [
            element('p', { class: 'problem' }, problem),
            element(
              'p',
              { class: 'actions' },
              button('Send again', () => onSendAgain(order)),
              button('Delete', () => onDelete(order)),
            ),
          ]
        : []),
    );
  }
}
