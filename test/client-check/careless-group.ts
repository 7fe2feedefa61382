import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeBase64, encodeBase64 } from '#client/api/bytes.ts';
import type { MessageView } from '#client/api/methods.ts';
import { pad, unpad } from '#client/conversation/padding.ts';
import type { DeviceIdentity, GroupState, MlsEngine, OwnKeyPackage } from '#client/mls/mls-engine.ts';
import type { CallResponse, CarelessCalls, Fields } from './careless-calls.ts';

export interface CarelessGroupDeps {
  readonly convoId: string;
  readonly calls: CarelessCalls;
  readonly engine: MlsEngine;
  readonly device: DeviceIdentity;
  readonly packages: ReadonlyMap<string, OwnKeyPackage>;
  readonly deviceId: string;
}

/** One conversation of a careless client. Its tasks run one after the other. */
export class CarelessGroup {
  readonly #deps: CarelessGroupDeps;
  readonly #ownIds = new Set<string>();
  readonly #texts = new Map<string, string>();
  readonly #idempotencyKey = randomUUID();
  #state: GroupState | undefined;
  #pending: { readonly digest: string; readonly nextState: GroupState } | undefined;
  #lastSeq = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: CarelessGroupDeps) {
    this.#deps = deps;
  }

  receive(message: MessageView): void {
    this.#enqueue(async () => {
      const { carelessness } = this.#deps.calls;
      if (this.#state === undefined) return;
      if (message.seq <= this.#lastSeq) {
        const text = this.#texts.get(message.id);
        if (carelessness === 'answers-repeated-events' && text !== undefined) this.#answer(text);
      } else if (message.seq === this.#lastSeq + 1 || carelessness === 'reads-one-page') await this.#process(message);
      else await this.#readNew();
    });
  }

  catchUp(): void {
    this.#enqueue(() => (this.#state === undefined ? this.#join() : this.#readNew()));
  }

  join(): void {
    this.#enqueue(async () => {
      if (this.#state === undefined) await this.#join();
    });
  }

  exit(): void {
    this.#enqueue(async () => {
      this.#state = undefined;
      this.#lastSeq = 0;
    });
  }

  #enqueue(task: () => Promise<unknown>): void {
    this.#last = this.#last.then(task).catch(() => undefined);
  }

  get #epoch(): number {
    const { engine } = this.#deps;
    return this.#state === undefined ? 0 : engine.describe(this.#state).epoch;
  }

  async #join(): Promise<void> {
    const { calls, engine, packages, convoId, deviceId } = this.#deps;
    const { carelessness } = calls;
    let found = await calls.get('getWelcome', { convoId, deviceId });
    for (let count = 0; count < 10 && carelessness === 'asks-for-the-welcome-again' && found.status === 404; count++) {
      await sleep(100);
      found = await calls.get('getWelcome', { convoId, deviceId });
    }
    if (found.status === 404 && carelessness !== 'gives-up-without-a-welcome') return this.#joinExternally();
    if (found.status !== 200) return;
    const welcome = decodeBase64(String(found.body['welcome']));
    const own = engine
      .keyPackageRefsOf(welcome)
      .map((ref) => packages.get(ref))
      .find((each) => each !== undefined);
    if (own === undefined) return;
    this.#state = await engine.joinByWelcome(welcome, own);
    if (carelessness !== 'confirms-no-welcome')
      await calls.post('confirmWelcome', { convoId, deviceId, success: true });
    await this.#readNew();
  }

  async #joinExternally(): Promise<void> {
    const { calls, engine, device, convoId } = this.#deps;
    const { body } = await calls.get('getGroupInfo', { convoId });
    const { commit, groupInfo, nextState } = await engine.joinExternally(
      decodeBase64(String(body['groupInfo'])),
      device,
    );
    const externalCommit = encodeBase64(commit);
    const request = { convoId, externalCommit, groupInfo: encodeBase64(groupInfo), idempotencyKey: randomUUID() };
    const { status } = await calls.post('processExternalCommit', request);
    if (status !== 200) return;
    this.#state = nextState;
    await this.#readNew();
  }

  async #readNew(): Promise<void> {
    const { calls, convoId } = this.#deps;
    for (;;) {
      const parameters = { convoId, sinceSeq: String(this.#lastSeq) };
      const isTooMuch = calls.carelessness === 'asks-for-too-much';
      const refused = isTooMuch ? await calls.get('getMessages', { ...parameters, limit: '1000' }) : undefined;
      const { body } = refused?.status === 200 ? refused : await calls.get('getMessages', parameters);
      const messages = (body['messages'] ?? []) as readonly MessageView[];
      for (const message of messages) if (message.seq > this.#lastSeq) await this.#process(message);
      if (messages.length === 0 || calls.carelessness === 'reads-one-page') return;
    }
  }

  async #process(message: MessageView): Promise<void> {
    const { engine } = this.#deps;
    this.#lastSeq = message.seq;
    if (this.#state === undefined || this.#ownIds.has(message.id)) return;
    if (message.messageType === 'commit') {
      if (message.epoch <= this.#epoch) return;
      if (this.#pending?.digest === digestOf(message.ciphertext)) this.#state = this.#pending.nextState;
      else this.#state = (await engine.process(this.#state, unpad(message.ciphertext))).nextState;
      this.#pending = undefined;
      return;
    }
    if (message.epoch < this.#epoch) return;
    const processed = await engine.process(this.#state, unpad(message.ciphertext));
    this.#state = processed.nextState;
    if (processed.kind !== 'application') return;
    const text = new TextDecoder().decode(processed.content);
    this.#texts.set(message.id, text);
    this.#answer(text);
  }

  #answer(text: string): void {
    const [verb = '', number = ''] = text.split(' ');
    const isLate = this.#deps.calls.carelessness === 'answers-out-of-order' && Number(number) % 2 === 1;
    const start = (): void => {
      if (verb === 'update') this.#enqueue(() => this.#update());
      if (verb === 'update' || verb === 'ping')
        this.#enqueue(() => this.#send(`${verb === 'ping' ? 'pong' : 'updated'} ${number}`));
    };
    if (isLate) setTimeout(start, 500);
    else start();
  }

  async #encrypt(text: string): Promise<Fields> {
    const { engine, calls } = this.#deps;
    if (this.#state === undefined) throw new Error('not in the group');
    const epoch = this.#epoch;
    const { message, nextState } = await engine.encrypt(this.#state, new TextEncoder().encode(text));
    this.#state = nextState;
    const ciphertext = calls.carelessness === 'does-not-pad' ? message : pad(message);
    return { ciphertext, epoch, paddedSize: ciphertext.length };
  }

  async #send(text: string): Promise<void> {
    const { calls, convoId } = this.#deps;
    let request: Fields = { convoId, msgId: this.#newId(), ...(await this.#encrypt(text)) };
    for (let attempt = 1; attempt < 10; attempt += 1) {
      const response = await calls.post('sendMessage', request, (lost) => this.#afterLoss(lost, text));
      const error = response.body['error'];
      if (response.status === 200) return;
      if (error === 'EpochMismatch') {
        if (await this.#waitsOnly('sends-in-an-epoch-that-is-over', attempt)) continue;
        await this.#readNew();
        request = { ...request, ...(await this.#encrypt(text)) };
      } else if (error === 'NotMember' && calls.carelessness === 'sends-after-its-removal') await sleep(300);
      else if (calls.carelessness === 'does-not-pad' && response.status === 400) {
        const ciphertext = pad(request['ciphertext'] as Uint8Array);
        request = { ...request, ciphertext, paddedSize: ciphertext.length, msgId: this.#newId() };
      } else return;
    }
  }

  #newId(): string {
    const msgId = randomUUID();
    this.#ownIds.add(msgId);
    return msgId;
  }

  async #afterLoss(lost: Fields, text: string): Promise<Fields> {
    switch (this.#deps.calls.carelessness) {
      case 'sends-with-another-id':
        return { ...lost, ...(await this.#encrypt(text)), msgId: this.#newId() };
      case 'sends-the-same-bytes-with-another-id':
        return { ...lost, msgId: this.#newId() };
      case 'encrypts-again':
        return { ...lost, ...(await this.#encrypt(text)) };
      default:
        return lost;
    }
  }

  async #waitsOnly(carelessness: string, attempt: number): Promise<boolean> {
    if (this.#deps.calls.carelessness !== carelessness || attempt > 2) return false;
    await sleep(200);
    return true;
  }

  async #update(): Promise<void> {
    const { calls, engine, convoId } = this.#deps;
    const isKeyKept = calls.carelessness === 'uses-one-idempotency-key';
    let idempotencyKey = isKeyKept ? this.#idempotencyKey : randomUUID();
    for (let attempt = 1; attempt < 10 && this.#state !== undefined; attempt += 1) {
      const { commit, groupInfo, nextState } = await engine.commit(this.#state, []);
      this.#pending = { digest: digestOf(commit), nextState };
      let response: CallResponse = await calls.post('commit', { convoId, commit, groupInfo, idempotencyKey });
      for (let count = 1; count < 3 && response.body['error'] === 'EpochMismatch'; count += 1) {
        if (!(await this.#waitsOnly('commits-in-an-epoch-that-is-over', count))) break;
        response = await calls.post('commit', { convoId, commit, groupInfo, idempotencyKey });
      }
      await this.#readNew();
      if (response.status === 200) return;
      if (response.body['error'] === 'IdempotencyKeyReused' || !isKeyKept) idempotencyKey = randomUUID();
    }
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}
