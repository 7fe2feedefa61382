import { ApiError } from '#client/api/api-error.ts';
import { NotInGroupError } from '#client/conversation/conversation-error.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { MessageTooLargeError } from '#client/conversation/padding.ts';
import { adviceFor } from './advice.ts';
import type { History } from './history.ts';
import type { Unsent } from './line.ts';

export interface SendQueueDeps {
  readonly history: History;
  /** Undefined while the person is offline. */
  readonly messenger: () => Messenger | undefined;
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

type OwnMessage = Extract<ConversationEvent, { kind: 'message' }>;

/** A message whose sending has failed is sent again after this time, unless the connection is interrupted. */
const retryMs = 3_000;

/** Sends the unsent messages of each conversation in order, each once. */
export class SendQueue {
  readonly #deps: SendQueueDeps;
  /** The last transmission of each conversation. */
  readonly #sending = new Map<string, Promise<void>>();

  constructor(deps: SendQueueDeps) {
    this.#deps = deps;
  }

  /** Resolves when no message is being sent. */
  async idle(): Promise<void> {
    await Promise.all(this.#sending.values());
  }

  /** Goes on after an interruption of the connection. */
  resumeAll(): void {
    for (const { convoId } of this.#deps.history.conversations) this.#resume(convoId);
  }

  /** Sends what the messenger could not send before, and then what waits here. */
  #resume(convoId: string): void {
    const messenger = this.#deps.messenger();
    if (messenger?.group(convoId) === undefined) return;
    const resume = async (): Promise<void> => {
      const { history } = this.#deps;
      const isUnknown = ({ state }: Unsent): boolean => state === 'unknown';
      if (this.#deps.history.conversation(convoId)?.unsent.some(isUnknown) === true) {
        // The first sends what the messenger has stored; the second reads it back from the service.
        await messenger.catchUp(convoId);
        await messenger.catchUp(convoId);
        for (const { order } of this.#deps.history.conversation(convoId)?.unsent.filter(isUnknown) ?? []) {
          history.changeUnsent(convoId, order, { state: 'waiting' });
        }
      }
      this.flush(convoId);
    };
    resume().catch((error: unknown) => this.#deps.onError(error));
  }

  /** Sends the waiting messages of a conversation, one after the other. */
  flush(convoId: string): void {
    const earlier = this.#sending.get(convoId) ?? Promise.resolve();
    const later = earlier.then(() => this.#sendWaiting(convoId)).catch((error: unknown) => this.#deps.onError(error));
    this.#sending.set(convoId, later);
  }

  async #sendWaiting(convoId: string): Promise<void> {
    const { history } = this.#deps;
    for (const { order, text, state } of this.#deps.history.conversation(convoId)?.unsent ?? []) {
      const messenger = this.#deps.messenger();
      if (messenger === undefined) return;
      if (state !== 'waiting') continue;
      history.changeUnsent(convoId, order, { state: 'sending' });
      this.#deps.onChange();
      try {
        const messageId = await messenger.send(convoId, new TextEncoder().encode(text));
        history.changeUnsent(convoId, order, { messageId });
        await history.forgetUnsent(convoId, order);
      } catch (error) {
        this.#onNotSent(convoId, order, error);
      }
      this.#deps.onChange();
    }
  }

  #onNotSent(convoId: string, order: number, error: unknown): void {
    const { history } = this.#deps;
    if (isRefusal(error)) history.changeUnsent(convoId, order, { state: 'failed', problem: adviceFor(error) });
    else {
      // The messenger may have stored the message, and then it sends it later by itself.
      history.changeUnsent(convoId, order, { state: 'unknown' });
      setTimeout(() => this.#resume(convoId), retryMs);
    }
  }

  /** Forgets the unsent message that has come back from the service. */
  async onDelivered({ convoId, messageId, content }: OwnMessage): Promise<void> {
    const { history } = this.#deps;
    const text = new TextDecoder().decode(content);
    const sent =
      history.conversation(convoId)?.unsent.filter(({ state }) => state === 'sending' || state === 'unknown') ?? [];
    const own = sent.find((each) => each.messageId === messageId) ?? sent.find((each) => each.text === text);
    if (own === undefined) return;
    history.hideUnsent(convoId, own.order);
    await history.forgetUnsent(convoId, own.order);
  }
}

/** Whether the same message would be refused again. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ApiError) return error.status < 500 && error.status !== 429;
  return error instanceof NotInGroupError || error instanceof MessageTooLargeError;
}
