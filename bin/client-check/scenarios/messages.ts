import { setTimeout as sleep } from 'node:timers/promises';
import { isEvent } from '#client/stream/stream-event.ts';
import type { Scenario, Stage } from '../scenario.ts';
import type { Talk } from '../talk.ts';
import { createGate } from '../waiting.ts';

/** Scenarios about sending. */
export const messageScenarios: readonly Scenario[] = [
  {
    name: 'no-faults',
    summary: 'The client is added to a conversation and answers three pings; a member types in between.',
    async run({ partner }) {
      const talk = await partner.talk();
      for (let count = 0; count < 3; count += 1) {
        partner.messenger.sendTyping(talk.convoId, true);
        await talk.ping();
      }
      await talk.whenAnswered();
    },
  },
  {
    name: 'lost-responses',
    summary: 'A message is stored and the response is lost; another never arrives; a third gets its response late.',
    async run({ client, partner, random }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      void client.faults.next('sendMessage', { kind: 'lose-response' });
      await talk.pingAndWait();
      // The answer is stored before the client repeats the call.
      await sleep(800);
      void client.faults.next('sendMessage', { kind: 'cut' });
      await talk.pingAndWait();
      void client.faults.next('sendMessage', { kind: 'hold-response', until: sleep(300 + random() * 500) });
      await talk.pingAndWait();
    },
  },
  {
    name: 'no-responses',
    summary: 'For about a second, every message is cut off.',
    async run({ client, partner, random, whenCalled }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      const first = client.faults.next('sendMessage', { kind: 'cut' });
      await talk.ping();
      await whenCalled(first);
      const end = client.faults.always('sendMessage', { kind: 'cut' });
      await sleep(800 + random() * 400);
      end();
      await talk.whenAnswered();
    },
  },
  {
    name: 'rate-limits',
    summary: 'Messages and the ticket for a new stream get 429 and 503 with Retry-After.',
    async run({ client, partner, random }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      const limited = { kind: 'respond', status: 429, error: 'RateLimitExceeded' } as const;
      const unavailable = { kind: 'respond', status: 503, error: 'ServiceUnavailable' } as const;
      const faults = random() < 0.5 ? [limited, unavailable] : [unavailable, limited];
      for (const fault of faults) {
        void client.faults.next('sendMessage', { ...fault, retryAfterSeconds: 1 });
        await talk.pingAndWait();
      }
      void client.faults.next('getSubscriptionTicket', { ...limited, retryAfterSeconds: 1 });
      client.faults.cutStreams();
      await talk.pingAndWait();
    },
  },
  {
    name: 'message-race',
    summary: 'Another member commits while a message is on its way; the event of the commit is late.',
    async run(stage) {
      const talk = await stage.partner.talk();
      await talk.pingAndWait();
      await loseRace(stage, talk, 'sendMessage', () => talk.ping());
      await talk.pingAndWait();
    },
  },
  {
    name: 'commit-race',
    summary:
      'Another member commits while a commit of the client is on its way; of the next commit the response is lost.',
    async run(stage) {
      const { client, partner } = stage;
      const talk = await partner.talk();
      await talk.pingAndWait();
      await loseRace(stage, talk, 'commit', () => talk.update());
      void client.faults.next('commit', { kind: 'lose-response' });
      await talk.update();
      await talk.whenAnswered();
      await talk.update();
      await talk.whenAnswered();
      await talk.pingAndWait();
    },
  },
];

/** Lets the partner commit between the client's call of `method` and its arrival. */
async function loseRace(stage: Stage, talk: Talk, method: string, ask: () => Promise<void>): Promise<void> {
  const { client, partner, whenCalled } = stage;
  const gate = createGate();
  const held = client.faults.next(method, { kind: 'hold', until: gate.opened });
  try {
    await ask();
    await whenCalled(held);
    client.faults.streams.holds = (event) => isEvent(event, 'messageEvent') && event.message.messageType === 'commit';
    await partner.messenger.updateKeys(talk.convoId);
  } finally {
    gate.open();
  }
  await sleep(700 + stage.random() * 300);
  client.faults.releaseEvents();
  await talk.whenAnswered();
}
