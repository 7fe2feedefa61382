import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCraftedConversation, craftMessage, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';
import { problemOf, runCase } from './http-case.ts';
import { httpCorpus } from './http-corpus.ts';
import { hasProxy, proxyNames, startSampleProxy } from './sample-proxy.ts';
import type { ProxyName, SampleProxy } from './sample-proxy.ts';

const trusting = { TRUSTED_PROXY_CIDRS: '127.0.0.1/32', TRUSTED_PROXY_HOPS: '1' };
const serviceDid = 'did:web:nightjar.test';
const unauthenticatedPerMinute = 5;

/** Attacks that a proxy rewrites into one valid request, or refuses in its own way. */
const rewrites: Readonly<Record<ProxyName, readonly string[]>> = {
  nginx: [
    'framing: a header without a colon',
    'framing: a line end of LF alone',
    'chunks: a chunk line ended by LF',
    'chunks: a flood of extensions',
    'chunks: trailers beyond the headers',
    'pipelined: after an absolute target',
    'pipelined: after 65 headers',
    'headers: an impossible expectation',
  ],
  caddy: [
    'framing: length and chunks',
    'framing: chunks and length',
    'framing: two equal lengths',
    'framing: a folded header',
    'framing: a header without a name',
    'framing: a line end of LF alone',
    'chunks: a chunk line ended by LF',
    'pipelined: after two lengths',
    'pipelined: after length and chunks',
    'pipelined: after an absolute target',
    'pipelined: after 65 headers',
    'pipelined: of an upgrade',
  ],
};

/** Requests whose rest the proxy awaits for ten seconds, without the service. */
const proxyWaits: Readonly<Record<ProxyName, readonly string[]>> = { nginx: [], caddy: ['targets: no HTTP at all'] };

describe.for(proxyNames)('%s with the sample configuration (skipped where it is not installed)', (name) => {
  describe.skipIf(!hasProxy(name))('in front of the service', () => {
    let bed: TestBed;
    let proxy: SampleProxy;
    beforeAll(async () => {
      const few = {
        RATE_LIMIT_IP_PER_MINUTE: String(unauthenticatedPerMinute),
        RATE_LIMIT_IP_BURST: String(unauthenticatedPerMinute),
      };
      bed = await startTestBed({ env: { ...trusting, ...few } });
      proxy = await startSampleProxy(name, bed.server().port);
    });
    afterAll(async () => {
      await proxy?.stop();
      await bed?.stop();
    });

    async function clientBehind(address: string): Promise<XrpcClient> {
      const { url } = await proxy.plainEntrance(address);
      return createXrpcClient({ server: { url, serviceDid }, account: bed.account() });
    }

    test('the health check and authenticated calls get the response of the service, with its headers', async () => {
      const alice = await clientBehind('127.0.0.11');
      expect((await fetch(`${alice.server.url}/xrpc/_health`)).status).toBe(200);
      const response = await alice.raw('getConvos', { search: '?limit=5' });
      expect([response.status, JSON.parse(response.text)]).toEqual([
        200,
        expect.objectContaining({ conversations: [] }),
      ]);
      expect(response.headers.get('ratelimit-limit')).not.toBeNull();
      expect(response.headers.get('strict-transport-security')).toContain('max-age');
    });

    test('a message of ten MiB and a URL of sixteen KiB pass', async () => {
      const [alice, bob] = [await clientBehind('127.0.0.12'), await clientBehind('127.0.0.13')];
      const conversation = await createCraftedConversation(alice, [bob]);
      const sizeBytes = 10_485_760;
      expect((await alice.call('sendMessage', craftMessage(conversation, { sizeBytes }))).seq).toBe(1);
      const [message] = (await bob.call('getMessages', { convoId: conversation.convoId })).messages;
      expect(message?.ciphertext.length).toBe(sizeBytes);
      const response = await alice.raw('getConvos', { search: `?limit=5&more=${'x'.repeat(16_000)}` });
      expect(response.status).toBe(200);
    });

    test('WebSocket and event stream carry events as they happen', async () => {
      const [alice, bob] = [await clientBehind('127.0.0.14'), await clientBehind('127.0.0.15')];
      const conversation = await createCraftedConversation(alice, [bob]);
      const [socket, stream] = [
        await openEventStream(bob),
        await openEventStream(bob, { transport: 'server-sent-events' }),
      ];
      for (let seq = 1; seq <= 3; seq++) {
        await sendCrafted(alice, conversation);
        // Each message is sent after the one before was received, so that a proxy that buffers events fails the test.
        expect((await socket.next('messageEvent')).message.seq).toBe(seq);
        expect((await stream.next('messageEvent')).message.seq).toBe(seq);
      }
      await Promise.all([stream.close(), socket.close()]);
    });

    test('every client has limits of its own, and a forged X-Forwarded-For does not change them', async () => {
      const [limited, other] = [await clientBehind('127.0.0.16'), await clientBehind('127.0.0.17')];
      const statusOf = async (url: string, forwarded?: string): Promise<number> => {
        const headers: Record<string, string> =
          forwarded === undefined
            ? {}
            : { 'X-Forwarded-For': forwarded, Forwarded: `for=${forwarded}`, 'X-Real-IP': forwarded };
        return (await fetch(`${url}/xrpc/blue.catbird.mls.getConvos`, { headers })).status;
      };
      const statuses = [];
      for (let nth = 0; nth < unauthenticatedPerMinute; nth++) statuses.push(await statusOf(limited.server.url));
      expect(statuses).toEqual(Array.from(statuses, () => 401));
      for (const forwarded of [undefined, '203.0.113.7', '127.0.0.99, 203.0.113.8', '127.0.0.1', 'unknown', ' '])
        expect(await statusOf(limited.server.url, forwarded), forwarded).toBe(429);
      expect(await statusOf(other.server.url)).toBe(401);
    });

    test('without TLS there is neither a response nor a redirect', async () => {
      const url = `http://127.0.0.1:${proxy.plainPort}/xrpc/_health`;
      const status = await fetch(url, { redirect: 'manual' }).then(
        (response) => response.status,
        () => 'refused',
      );
      expect([403, 'refused']).toContain(status);
    });
  });

  describe.skipIf(!hasProxy(name))('under attack', () => {
    let service: SampleApp;
    let proxy: SampleProxy;
    let port: number;
    beforeAll(async () => {
      service = await startSampleApp({ env: trusting });
      proxy = await startSampleProxy(name, service.port);
      ({ port } = await proxy.plainEntrance('127.0.0.21'));
    });
    afterAll(async () => {
      await proxy?.stop();
      await service?.stop();
    });

    const cases = httpCorpus.filter(({ proxy: may, group, name: caseName }) => {
      return may !== 'skip' && !proxyWaits[name].includes(`${group}: ${caseName}`);
    });
    test.for([...new Set(cases.map(({ group }) => group))])('%s', async (group) => {
      service.handled.splice(0);
      const problems: string[] = [];
      let accepted = 0;
      const waiting = cases.filter((httpCase) => httpCase.group === group);
      const runner = async (): Promise<void> => {
        for (let httpCase = waiting.pop(); httpCase !== undefined; httpCase = waiting.pop()) {
          const { name: caseName } = httpCase;
          const isRewritten = rewrites[name].includes(`${group}: ${caseName}`);
          const outcome = await runCase({ host: '127.0.0.1', port }, httpCase);
          accepted += outcome.responses.filter(({ status }) => status < 400).length;
          const problem = isRewritten ? undefined : problemOf(httpCase, outcome, 'proxy');
          if (problem !== undefined) problems.push(`${caseName}: ${problem}`);
          if (outcome.waitedMs >= 2_000) problems.push(`${caseName}: hangs`);
        }
      };
      await Promise.all(Array.from({ length: 6 }, runner));
      expect(problems).toEqual([]);
      // A smuggled request would run without a response of its own.
      expect(service.handled.length, 'handlers that ran').toBeLessThanOrEqual(accepted);
    });

    test('proxy and service still respond, and no log names a client', async () => {
      const response = await fetch(`http://127.0.0.1:${port}/xrpc/com.example.describe`, {
        headers: { authorization: 'Bearer alice' },
      });
      expect(response.status).toBe(200);
      expect(proxy.isRunning()).toBe(true);
      expect(service.logLines).toEqual([]);
      expect(proxy.written()).not.toMatch(/127[.]0[.]0[.]21|com[.]example/);
    });
  });
});
