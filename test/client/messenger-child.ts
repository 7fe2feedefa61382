import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { createApiClient } from '#client/api/api-client.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { openFileStorage } from '#client/storage/file-storage.ts';

/** What the parent passes as JSON in the first argument. */
export interface MessengerChildOptions {
  readonly serviceUrl: string;
  readonly serviceDid: string;
  readonly did: string;
  /** PKCS #8 in PEM of the account's key on the curve P-256. */
  readonly privateKeyPem: string;
  readonly folder: string;
}

/** A line that the child writes for each event. */
export interface ChildLine {
  readonly kind: string;
  readonly convoId?: string;
  readonly seq?: number;
  readonly text?: string;
}

const options = JSON.parse(process.argv[2] ?? '{}') as MessengerChildOptions;
const key = createPrivateKey(options.privateKeyPem);
const base64Url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function mintToken(lxm: string): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const claims = { iss: options.did, aud: options.serviceDid, lxm, jti: randomBytes(16).toString('hex') };
  const input = `${base64Url({ typ: 'JWT', alg: 'ES256' })}.${base64Url({ ...claims, iat: nowSeconds, exp: nowSeconds + 60 })}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

const write = (line: ChildLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const messenger = await openMessenger({
  api: createApiClient({ serviceUrl: options.serviceUrl, getToken: async (nsid) => mintToken(nsid) }),
  did: options.did,
  engine: await createTsMlsEngine(),
  storage: await openFileStorage(fs, options.folder),
  deviceName: 'a device that is killed',
  keyPackageTarget: 3,
  sharedTaskWaitMaxMs: 50,
  onEvent(event) {
    if (event.kind === 'message') {
      const { convoId, seq, content } = event;
      write({ kind: 'message', convoId, seq, text: new TextDecoder().decode(content) });
    } else if (event.kind === 'unreadable') {
      write({ kind: 'unreadable', convoId: event.convoId, seq: event.seq });
    }
  },
  onError: (error) => write({ kind: 'error', text: String(error) }),
});
write({ kind: 'open' });

// One line of standard input is one message: the conversation's id, a space, the text.
process.stdin.setEncoding('utf8');
let rest = '';
process.stdin.on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    const [convoId = '', text = ''] = line.split(' ');
    const sending = text === 'update' ? messenger.updateKeys(convoId) : messenger.send(convoId, Buffer.from(text));
    sending.catch((error: unknown) => write({ kind: 'error', text: String(error) }));
  }
});
