import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBase64 } from '#client/api/bytes.ts';
import type { StreamEvent } from '#client/api/methods.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import type { DeviceIdentity, MlsEngine, OwnKeyPackage } from '#client/mls/mls-engine.ts';
import { isEvent } from '#client/stream/stream-event.ts';
import type { ClientIdentity, RunningClient } from '../../bin/client-check/session.ts';
import { CarelessCalls } from './careless-calls.ts';
import type { Carelessness, Fields } from './careless-calls.ts';
import { CarelessGroup } from './careless-group.ts';
import { CarelessStream } from './careless-stream.ts';
import { identityFrom } from './identity-from.ts';

const packageCount = 6;
const dayMs = 86_400_000;

/** Starts an echo client of plain calls that does one thing wrong. */
export function startCarelessClient(carelessness: Carelessness): (identity: ClientIdentity) => Promise<RunningClient> {
  return async (identity) => {
    const closing = new AbortController();
    const stop = async (): Promise<void> => closing.abort();
    if (carelessness === 'stays-away') return { stop };
    const calls = new CarelessCalls(identity, carelessness, closing.signal);
    const engine = await createTsMlsEngine();
    const device = await engine.createIdentity(identity.did);
    await new CarelessClient(calls, engine, device).start();
    return { stop };
  };
}

class CarelessClient {
  readonly #calls: CarelessCalls;
  readonly #engine: MlsEngine;
  readonly #device: DeviceIdentity;
  readonly #packages = new Map<string, OwnKeyPackage>();
  readonly #groups = new Map<string, CarelessGroup>();
  #deviceId = '';

  constructor(calls: CarelessCalls, engine: MlsEngine, device: DeviceIdentity) {
    this.#calls = calls;
    this.#engine = engine;
    this.#device = device;
  }

  async start(): Promise<void> {
    const { carelessness } = this.#calls;
    const keyPackages = await this.#newPackages(carelessness !== 'publishes-no-last-resort-package');
    const { body } = await this.#calls.post('registerDevice', {
      deviceName: 'Careless',
      deviceUUID: randomUUID(),
      signaturePublicKey: this.#device.signaturePublicKey,
      keyPackages,
    });
    this.#deviceId = String(body['deviceId']);
    if (carelessness === 'publishes-a-package-again')
      await this.#calls.post('publishKeyPackages', { keyPackages: keyPackages.slice(0, 1) });
    const stream = new CarelessStream(
      this.#calls,
      (event) => this.#handle(event),
      () => this.#catchUp(),
    );
    stream.follow().catch(() => undefined);
    if (carelessness !== 'opens-two-streams') return;
    await sleep(300);
    stream.follow().catch(() => undefined);
  }

  async #newPackages(withLastResort: boolean): Promise<Fields[]> {
    const made: Fields[] = [];
    for (let count = 0; count < packageCount + (withLastResort ? 1 : 0); count += 1) {
      const own = await this.#engine.createKeyPackage(this.#device, { isLastResort: count === packageCount });
      this.#packages.set(own.ref, own);
      made.push({
        keyPackage: encodeBase64(own.keyPackage),
        cipherSuite: this.#engine.cipherSuite,
        expires: new Date(Date.now() + 20 * dayMs).toISOString(),
      });
    }
    return made;
  }

  #group(convoId: string): CarelessGroup {
    const known = this.#groups.get(convoId);
    if (known !== undefined) return known;
    const group = new CarelessGroup({
      convoId,
      calls: this.#calls,
      engine: this.#engine,
      device: this.#device,
      packages: this.#packages,
      deviceId: this.#deviceId,
    });
    this.#groups.set(convoId, group);
    return group;
  }

  #handle(event: StreamEvent): void {
    if (isEvent(event, 'messageEvent')) this.#group(event.message.convoId).receive(event.message);
    else if (isEvent(event, 'membershipChangeEvent') && event.did === this.#calls.identity.did) {
      if (event.action === 'joined') this.#group(event.convoId).join();
      else this.#group(event.convoId).exit();
    } else if (isEvent(event, 'infoEvent')) {
      const { carelessness } = this.#calls;
      if (event.code === 'cursorUnknown' && carelessness !== 'ignores-an-unknown-cursor')
        this.#catchUp().catch(() => undefined);
      if (event.code === 'keyPackagesLow' && carelessness !== 'runs-out-of-packages')
        this.#refill().catch(() => undefined);
    }
  }

  async #catchUp(): Promise<void> {
    const { body } = await this.#calls.get('getConvos', {});
    const convos = body['conversations'] as readonly { readonly groupId: string }[];
    for (const { groupId } of convos) this.#group(groupId).catchUp();
  }

  async #refill(): Promise<void> {
    const items = await this.#newPackages(false);
    await this.#calls.post('publishKeyPackages', {
      keyPackages: items.map((item) => ({ ...item, deviceId: this.#deviceId })),
    });
  }
}

if (import.meta.main) await startCarelessClient(process.argv[2] as Carelessness)(identityFrom(process.env));
