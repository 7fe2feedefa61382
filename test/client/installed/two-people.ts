import { createApiClient } from '#client/api/api-client.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';

/*
 * Two people exchange messages. A test compiles this file in a folder that has installed the packed client, with the imports replaced by
 * those of the package, and runs it on Node, Deno and Bun.
 */

interface Person {
  readonly did: string;
  /** PKCS #8 of a key on the curve P-256, in base64. */
  readonly privateKey: string;
}

interface Options {
  readonly serviceUrl: string;
  readonly serviceDid: string;
  readonly people: readonly [Person, Person];
}

// All three runtimes have it; the folder has no types of Node.
declare const process: { readonly argv: readonly string[]; readonly stdout: { write(text: string): unknown } };

const { serviceUrl, serviceDid, people } = JSON.parse(process.argv[2] ?? '') as Options;
const encode = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text));

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

async function createGetToken({ did, privateKey }: Person): Promise<(nsid: string) => Promise<string>> {
  const der = Uint8Array.from(atob(privateKey), (character) => character.charCodeAt(0));
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  return async (lxm) => {
    const iat = Math.floor(Date.now() / 1_000);
    const claims = { iss: did, aud: serviceDid, lxm, jti: crypto.randomUUID(), iat, exp: iat + 60 };
    const parts = [{ typ: 'JWT', alg: 'ES256' }, claims].map((part) => base64Url(encode(JSON.stringify(part))));
    const signature = await crypto.subtle.sign(algorithm, key, encode(parts.join('.')));
    return [...parts, base64Url(new Uint8Array(signature))].join('.');
  };
}

/** What happened so far, for the error of a program that hangs. */
const log: string[] = [];
const note = (what: string): void => void log.push(`${Math.round(performance.now())} ms: ${what}`);

async function open(person: Person): Promise<{ messenger: Messenger; received: string[] }> {
  const received: string[] = [];
  const messenger = await openMessenger({
    api: createApiClient({ serviceUrl, getToken: await createGetToken(person) }),
    did: person.did,
    engine: await createTsMlsEngine(),
    storage: createMemoryStorage(),
    deviceName: 'installed',
    keyPackageTarget: 2,
    onStateChange: (state) => note(`${person.did} stream ${state}`),
    onError: (error) => note(`${person.did} ${String(error)}`),
    onEvent(event) {
      note(`${person.did} ${event.kind}`);
      if (event.kind !== 'message' || event.senderDid === person.did) return;
      received.push(new TextDecoder().decode(event.content));
    },
  });
  return { messenger, received };
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  note(`waiting until ${what}`);
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 100));
}

// Ends the program before the test does, which could not say what it was waiting for.
const limit = setTimeout(() => {
  throw new Error(`the program hangs\n${log.join('\n')}`);
}, 60_000);
const [alice, bob] = await Promise.all([open(people[0]), open(people[1])]);
note('both are open');
const convoId = await alice.messenger.createConversation([bob.messenger.did]);
await until('Bob is in the group', () => bob.messenger.convoIds().includes(convoId));
await alice.messenger.send(convoId, encode('hello bob'));
await until('Bob has the message', () => bob.received.length > 0);
await bob.messenger.send(convoId, encode('hello alice'));
await until('Alice has the message', () => alice.received.length > 0);
note('closing');
await Promise.all([alice.messenger.close(), bob.messenger.close()]);
clearTimeout(limit);
process.stdout.write(JSON.stringify({ alice: alice.received, bob: bob.received }));
