import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

// Safe because first use is an insert under a unique key in the one database that both servers share.
test('one token sent 100 times concurrently to two servers is accepted once', async () => {
  const account = bed.account();
  const [first, second] = [0, 1].map((index) => createXrpcClient({ server: bed.server(index), account })) as [
    XrpcClient,
    XrpcClient,
  ];
  const { convoId } = await createCraftedConversation(first, []);
  for (let round = 0; round < 3; round++) {
    const token = first.token('getEpoch');
    const responses = await Promise.all(
      Array.from({ length: 100 }, (_, nth) =>
        (nth % 2 === 0 ? first : second).raw('getEpoch', { token, search: `?convoId=${convoId}` }),
      ),
    );
    const refused = responses.filter(({ status }) => status !== 200);
    expect(refused.map(errorNameOf)).toEqual(Array.from({ length: 99 }, () => 'JwtReplayed'));
  }
});

test('a token is valid for its method and its audience only', async () => {
  const client = bed.client();
  const sent = await client.raw('getConvos', { token: client.token('getEpoch') });
  expect([sent.status, errorNameOf(sent)]).toEqual([401, 'BadJwtLexiconMethod']);
  const elsewhere = client.account.mintToken({ aud: 'did:web:elsewhere.test', lxm: 'blue.catbird.mls.getConvos' });
  const refused = await client.raw('getConvos', { token: elsewhere });
  expect([refused.status, errorNameOf(refused)]).toEqual([401, 'BadJwtAudience']);
});
