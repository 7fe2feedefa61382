import type { Messenger } from '#client/conversation/messenger.ts';
import { until } from './waiting.ts';

/** The client did not answer, or did not call what it had to call, within the time for an answer. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

interface Question {
  readonly text: string;
  readonly answer: string;
  seq?: number;
}

/** One conversation with the client under test, in the echo protocol. */
export class Talk {
  readonly convoId: string;
  readonly #messenger: Messenger;
  readonly #answerMs: number;
  #questions: Question[] = [];
  readonly #answers: { readonly text: string; readonly messageId: string }[] = [];
  #count = 0;

  constructor(messenger: Messenger, convoId: string, answerMs: number) {
    this.#messenger = messenger;
    this.convoId = convoId;
    this.#answerMs = answerMs;
  }

  /** Sends `ping <n>`, to which the client has to answer `pong <n>`. */
  async ping(): Promise<void> {
    await this.#ask('ping', 'pong');
  }

  /** Sends `update <n>`: the client has to renew its keys with a commit, and then to answer `updated <n>`. */
  async update(): Promise<void> {
    await this.#ask('update', 'updated');
  }

  /** @throws NoAnswerError when an answer is missing. */
  async whenAnswered(): Promise<void> {
    if (!(await until(() => this.missing().length === 0, this.#answerMs)))
      throw new NoAnswerError(`no answer: ${this.missing().join(', ')}`);
  }

  async pingAndWait(): Promise<void> {
    await this.ping();
    await this.whenAnswered();
  }

  /** The client need not answer what it was not asked as a member. */
  forgetUnanswered(): void {
    this.#questions = this.#questions.filter(({ answer }) => this.#isAnswered(answer));
  }

  noteQuestion(text: string, seq: number): void {
    const question = this.#questions.find((each) => each.text === text);
    if (question !== undefined) question.seq = seq;
  }

  /** @returns the seq of the answered message, if there is one. */
  noteAnswer(text: string, messageId: string): number | undefined {
    this.#answers.push({ text, messageId });
    return this.#questions.find(({ answer }) => answer === text)?.seq;
  }

  missing(): string[] {
    return this.#questions.map(({ answer }) => answer).filter((answer) => !this.#isAnswered(answer));
  }

  doubled(): string[] {
    const texts = this.#answers.map(({ text }) => text);
    return [...new Set(texts.filter((text, index) => texts.indexOf(text) !== index))];
  }

  /** Whether the first answers came in the order of the questions. */
  isInOrder(): boolean {
    const asked = this.#questions.map(({ answer }) => answer).filter((answer) => this.#isAnswered(answer));
    const given = [...new Set(this.#answers.map(({ text }) => text))].filter((text) => asked.includes(text));
    return asked.every((answer, index) => given[index] === answer);
  }

  #isAnswered(answer: string): boolean {
    return this.#answers.some(({ text }) => text === answer);
  }

  async #ask(verb: string, answerVerb: string): Promise<void> {
    this.#count += 1;
    const text = `${verb} ${this.#count}`;
    this.#questions.push({ text, answer: `${answerVerb} ${this.#count}` });
    await this.#messenger.send(this.convoId, new TextEncoder().encode(text));
  }
}
