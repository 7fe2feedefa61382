import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed, TestServer } from '../support/test-server.ts';

const method = 'blue.catbird.mls.listDevices';
const path = `/xrpc/${method}`;
const client = '203.0.113.9';
const other = '198.51.100.7';
const timeoutMs = 30_000;

interface ProbeResponse {
  readonly status: number;
  readonly error: string | undefined;
  readonly message: string;
  readonly retryAfter: string | undefined;
}

/** Sends these header lines unchanged, on a separate connection. */
async function send(server: TestServer, lines: readonly string[]): Promise<ProbeResponse> {
  const socket = connect(server.port, '127.0.0.1');
  socket.setTimeout(5_000, () => socket.destroy(new Error('no response')));
  socket.write([`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n'), 'latin1');
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  await once(socket, 'close');
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const json = /\{.*\}/s.exec(body)?.[0];
  const parsed = json === undefined ? {} : (JSON.parse(json) as { error?: string; message?: string });
  return {
    status: Number(/^HTTP\/1[.]1 (\d{3})/.exec(head)?.[1] ?? 0),
    error: parsed.error,
    message: parsed.message ?? '',
    retryAfter: /^retry-after: (\d+)$/im.exec(head)?.[1],
  };
}

/** Sends ten requests at a time, the number that one address may send before authentication. */
async function inBatches(count: number, sendAs: (nth: number) => Promise<ProbeResponse>): Promise<ProbeResponse[]> {
  const responses: ProbeResponse[] = [];
  while (responses.length < count) {
    const batch = Array.from({ length: 10 }, (_, nth) => sendAs(responses.length + nth));
    responses.push(...(await Promise.all(batch)));
  }
  return responses;
}

/** Header lines by which a client claims another address. */
const spoofs: readonly (readonly string[])[] = [
  [`X-Forwarded-For: ${other}`],
  [`x-forwarded-for: ${other}`],
  [`X-FORWARDED-FOR: ${other}`],
  [`X-Forwarded-For:${other}`],
  [`X-Forwarded-For: ${other}, ${other}`],
  [`X-Forwarded-For: ${other},`],
  [`X-Forwarded-For: ,${other}`],
  [`X-Forwarded-For: ${other}, 127.0.0.1`],
  [`X-Forwarded-For: 127.0.0.1`],
  [`X-Forwarded-For: 127.0.0.1, 127.0.0.1`],
  [`X-Forwarded-For: ::1`],
  [`X-Forwarded-For: ::ffff:${other}`],
  [`X-Forwarded-For: ::ffff:127.0.0.1`],
  [`X-Forwarded-For: ${other}:4711`],
  [`X-Forwarded-For: [2001:db8::1]:80`],
  [`X-Forwarded-For: "${other}"`],
  [`X-Forwarded-For: for=${other}`],
  [`X-Forwarded-For: fe80::1%eth0`],
  [`X-Forwarded-For: 0306.063.0144.07`],
  [`X-Forwarded-For: 3325256455`],
  [`X-Forwarded-For: unknown`],
  [`X-Forwarded-For:`],
  [`X-Forwarded-For: \t ${other} \t`],
  [`X-Forwarded-For: \u00a0${other}`],
  [`X-Forwarded-For: ${other};`],
  [`X-Forwarded-For: ${Array.from({ length: 100 }, (_, nth) => `10.0.0.${nth}`).join(', ')}`],
  [`X-Forwarded-For: ${'1.2.3.4, '.repeat(300)}${other}`],
  [`X-Forwarded-For: ${other}`, `X-Forwarded-For: ${other}`],
  [`X-Forwarded-For: ${other}`, `x-forwarded-for: 127.0.0.1`],
  [`X_Forwarded_For: ${other}`],
  [`X-Forwarded-For-Original: ${other}`],
  [`X-Original-Forwarded-For: ${other}`],
  [`X-Forwarded: ${other}`],
  [`X-Forwarded-Host: ${other}`],
  [`Forwarded-For: ${other}`],
  [`Forwarded: for=${other}`],
  [`Forwarded: for="[2001:db8::1]:80";proto=https;by=127.0.0.1`],
  [`Forwarded: for=${other}, for=127.0.0.1`],
  [`CF-Connecting-IP: ${other}`],
  [`CF-Connecting-IPv6: 2001:db8::1`],
  [`CF-Pseudo-IPv4: ${other}`],
  [`True-Client-IP: ${other}`],
  [`X-Real-IP: ${other}`],
  [`X_Real_IP: ${other}`],
  [`X-Client-IP: ${other}`],
  [`Client-IP: ${other}`],
  [`X-Cluster-Client-IP: ${other}`],
  [`X-Remote-Addr: ${other}`],
  [`X-Remote-IP: ${other}`],
  [`X-Originating-IP: ${other}`],
  [`X-Host: ${other}`],
  [`X-ProxyUser-Ip: ${other}`],
  [`X-Azure-ClientIP: ${other}`],
  [`X-Appengine-User-IP: ${other}`],
  [`Fastly-Client-IP: ${other}`],
  [`Fly-Client-IP: ${other}`],
  [`WL-Proxy-Client-IP: ${other}`],
  [`Via: 1.1 ${other}`],
  [`From: ${other}`],
  [`X-Forwarded-For: ${other}`, `X-Real-IP: ${other}`, `Forwarded: for=${other}`, `CF-Connecting-IP: ${other}`],
];

/** Changes the client's lines as nginx does: it appends the client's address to X-Forwarded-For. */
function throughList(lines: readonly string[]): string[] {
  const isList = (line: string): boolean => /^x-forwarded-for:/i.test(line);
  const written = lines.filter(isList).map((line) => line.slice(line.indexOf(':') + 1).trim());
  return [...lines.filter((line) => !isList(line)), `X-Forwarded-For: ${[...written, client].join(', ')}`];
}

/** Changes the client's lines as haproxy does: it adds a second header after the client's. */
function throughSecondHeader(lines: readonly string[]): string[] {
  return [...lines, `X-Forwarded-For: ${client}`];
}

/** Changes the client's lines as a proxy does that overwrites a header with one address. */
function throughOverwriting(lines: readonly string[]): string[] {
  return [...lines.filter((line) => !/^x-real-ip:/i.test(line)), `X-Real-IP: ${client}`];
}

const quota = {
  RATE_LIMIT_IP_PER_MINUTE: '2',
  RATE_LIMIT_IP_BURST: '2',
  RATE_LIMIT_IP_NETWORK_PER_MINUTE: '16',
  RATE_LIMIT_IP_NETWORK_BURST: '16',
};

const arrangements: readonly {
  readonly how: string;
  readonly env: Readonly<Record<string, string>>;
  readonly throughProxy: (lines: readonly string[]) => readonly string[];
}[] = [
  { how: 'directly', env: {}, throughProxy: (lines) => lines },
  {
    how: 'through a proxy that adds to the list',
    env: { TRUSTED_PROXY_CIDRS: '127.0.0.1' },
    throughProxy: throughList,
  },
  {
    how: 'through a proxy that adds a second header',
    env: { TRUSTED_PROXY_CIDRS: '127.0.0.1' },
    throughProxy: throughSecondHeader,
  },
  {
    how: 'through a proxy that overwrites X-Real-IP',
    env: { TRUSTED_PROXY_CIDRS: '127.0.0.1', TRUSTED_PROXY_HEADER: 'X-Real-IP' },
    throughProxy: throughOverwriting,
  },
];

test('the corpus has at least forty forms', () => {
  expect(new Set(spoofs.map((lines) => lines.join('\n'))).size).toBeGreaterThanOrEqual(40);
});

describe.each(arrangements)('a client that has used up its limit, $how', ({ env, throughProxy }) => {
  let bed: TestBed;
  beforeAll(async () => void (bed = await startTestBed({ env: { ...quota, ...env } })));
  afterAll(() => bed.stop());

  test('does not get another limit by claiming another address', { timeout: timeoutMs }, async () => {
    const server = bed.server();
    const bypasses: string[] = [];
    let limited = 0;
    for (const lines of spoofs) {
      // Uses up what has refilled, so that the limit is used up when the spoofed request is sent.
      let unspoofed = await send(server, throughProxy([]));
      while (unspoofed.status === 401) unspoofed = await send(server, throughProxy([]));
      expect([unspoofed.status, unspoofed.error]).toEqual([429, 'RateLimitExceeded']);
      const spoofed = await send(server, throughProxy(lines));
      if (spoofed.status === 429 && spoofed.error === 'RateLimitExceeded') limited += 1;
      else if (spoofed.status !== 400) bypasses.push(`${lines.join(' | ')}: ${spoofed.status}`);
    }
    expect(bypasses).toEqual([]);
    expect(limited).toBeGreaterThanOrEqual(spoofs.length / 2);
  });

  test('does not use up the limit of another address', async () => {
    const fromOther = await send(
      bed.server(),
      throughProxy([]).map((line) => line.replace(client, '192.0.2.44')),
    );
    expect(fromOther.status).toBe(env['TRUSTED_PROXY_CIDRS'] === undefined ? 429 : 401);
  });
});

describe('a server behind a trusted proxy', () => {
  let bed: TestBed;
  beforeAll(async () => {
    bed = await startTestBed({
      env: {
        TRUSTED_PROXY_CIDRS: '127.0.0.1/32',
        RATE_LIMIT_IP_PER_MINUTE: '60',
        RATE_LIMIT_IP_BURST: '20',
        RATE_LIMIT_IP_NETWORK_PER_MINUTE: '480',
        RATE_LIMIT_IP_NETWORK_BURST: '160',
        RATE_LIMIT_FAILED_AUTH_PER_MINUTE: '10',
        AUTH_BAN_AFTER_FAILURES: '20',
        RATE_LIMIT_DID_DEFAULT: '200',
        CLIENT_ALLOW_CIDRS: '192.0.2.0/24,198.51.100.0/24',
        CLIENT_DENY_CIDRS: '198.51.100.0/25',
      },
    });
  });
  afterAll(() => bed.stop());

  const sendAs = (account: Account, address: string): Promise<ProbeResponse> =>
    from(address, `Authorization: Bearer ${account.mintToken({ aud: bed.server().serviceDid, lxm: method })}`);
  const from = (address: string, ...more: string[]): Promise<ProbeResponse> =>
    send(bed.server(), [`X-Forwarded-For: ${address}`, ...more]);

  test('refuses a request without an address from the proxy, and charges no address for it', async () => {
    for (const lines of [[], ['X-Forwarded-For: unknown'], ['X-Forwarded-For:'], ['X-Real-IP: 203.0.113.1']]) {
      for (let nth = 0; nth < 30; nth++) {
        expect(await send(bed.server(), lines)).toMatchObject({ status: 400, error: 'UnknownAddress' });
      }
    }
    expect((await from('127.0.0.1')).status).toBe(401);
  });

  test('limits three hundred addresses of one /64 like one client', { timeout: timeoutMs }, async () => {
    let admitted = 0;
    const startedMs = performance.now();
    for (let host = 0; host < 300; host++) {
      const response = await from(`2001:db8:64:1::${host.toString(16)}`);
      if (response.status === 401) admitted += 1;
      else expect(response).toMatchObject({ status: 429, message: expect.stringContaining('limit address ') });
    }
    expect(admitted).toBeGreaterThanOrEqual(20);
    expect(admitted).toBeLessThanOrEqual(Math.min(66, 21 + (performance.now() - startedMs) / 1_000));
  });

  test('limits 256 /64s of one /48 like eight clients', { timeout: timeoutMs }, async () => {
    let admitted = 0;
    const startedMs = performance.now();
    for (let subnet = 0; subnet < 256; subnet++) {
      const response = await from(`2001:db8:48:${subnet.toString(16)}::1`);
      if (response.status === 401) admitted += 1;
      else expect(response).toMatchObject({ status: 429, message: expect.stringContaining('limit network ') });
    }
    expect(admitted).toBeGreaterThanOrEqual(160);
    expect(admitted).toBeLessThanOrEqual(Math.min(480, 161 + (8 * (performance.now() - startedMs)) / 1_000));
  });

  test('refuses forged tokens with 401, then limits them, then bans the /64, but not the next one', async () => {
    const sendForged = (address: string): Promise<ProbeResponse> => from(address, 'Authorization: Bearer a.b.c');
    const responses: ProbeResponse[] = [];
    for (let nth = 0; nth < 20; nth++) responses.push(await sendForged('2001:db8:1:1::1'));
    expect(responses.slice(0, 10).map(({ error }) => error)).toEqual(Array.from({ length: 10 }, () => 'BadJwt'));
    expect(responses.at(-1)).toMatchObject({ status: 429, message: expect.stringContaining('limit failedAuth ') });
    // A banned address is refused also without a token.
    for (const more of [[], ['Authorization: Bearer a.b.c']]) {
      const banned = await from('2001:db8:1:1::2', ...more);
      expect(banned).toMatchObject({ status: 429, message: expect.stringContaining('limit failedAuth ') });
      expect(Number(banned.retryAfter)).toBeGreaterThan(50);
      expect(Number(banned.retryAfter)).toBeLessThanOrEqual(60);
    }
    expect(await sendForged('2001:db8:1:2::1')).toMatchObject({ status: 401, error: 'BadJwt' });
  });

  test('does not count missing, expired or replayed tokens as failures', async () => {
    const account = bed.account();
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const claims = { aud: bed.server().serviceDid, lxm: method };
    const expired = account.mintToken(claims, { nowSeconds: nowSeconds - 600 });
    const used = account.mintToken(claims);
    for (let nth = 0; nth < 12; nth++) {
      expect((await from('203.0.113.20', `Authorization: Bearer ${expired}`)).error).toBe('JwtExpired');
      expect((await from(`203.0.113.${30 + nth}`)).error).toBe('AuthMissing');
      const { error } = await from('203.0.113.21', `Authorization: Bearer ${used}`);
      expect(error).toBe(nth === 0 ? undefined : 'JwtReplayed');
    }
  });

  test('counts invalid tickets as failures', async () => {
    const upgrade = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
    const openWithBadTicket = async (): Promise<number> => {
      const socket = connect(bed.server().port, '127.0.0.1');
      const lines = ['Host: a', 'Connection: Upgrade', 'X-Forwarded-For: 203.0.113.60', ...upgrade, '', ''];
      socket.write(`GET /xrpc/blue.catbird.mls.subscribeConvoEvents?ticket=x HTTP/1.1\r\n${lines.join('\r\n')}`);
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return Number(chunk.toString('latin1').slice(9, 12));
    };
    const statuses: number[] = [];
    for (let nth = 0; nth < 12; nth++) statuses.push(await openWithBadTicket());
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
  });

  test('neither counts nor bans allowed networks, and refuses denied networks', async () => {
    for (let nth = 0; nth < 30; nth++) {
      expect(await from('192.0.2.1', 'Authorization: Bearer a.b.c')).toMatchObject({ status: 401, error: 'BadJwt' });
    }
    expect((await from('198.51.100.200')).status).toBe(401);
    expect(await from('198.51.100.7')).toMatchObject({ status: 403, error: 'AddressRefused' });
  });

  test('admits a thousand people at one address', { timeout: timeoutMs }, async () => {
    const responses = await inBatches(1_000, () => sendAs(bed.account({ curve: 'p256' }), '203.0.113.80'));
    expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
  });

  test('applies one account limit to one person at a thousand addresses', { timeout: timeoutMs }, async () => {
    const one = bed.account();
    const responses = await inBatches(1_000, (nth) => sendAs(one, `10.1.${nth >> 8}.${nth & 255}`));
    const refused = responses.filter(({ status }) => status !== 200);
    expect(new Set(refused.map(({ status, message }) => `${status} ${message.split(' allows')[0]}`))).toEqual(
      new Set(['429 The limit callerDefault']),
    );
    // The limit of one minute, and what refilled during the test.
    expect(responses.length - refused.length).toBeGreaterThanOrEqual(200);
    expect(responses.length - refused.length).toBeLessThanOrEqual(220);
  });
});
