import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

/** A cursor in no form of this service, as an older service may have sent it. */
const foreignCursor = '01HZX3CURSOROFANOTHERSERVICE';

/** Scenarios about events. */
export const streamScenarios: readonly Scenario[] = [
  {
    name: 'cut-streams',
    summary: 'The stream is cut while events arrive, and is ended because the client reads too slowly.',
    async run({ client, partner, random }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      client.faults.cutStreams();
      await talk.ping();
      await talk.whenAnswered();
      await sleep(random() * 200);
      await talk.ping();
      client.faults.cutStreams();
      await talk.whenAnswered();
      client.faults.endStreamsAsTooSlow();
      await talk.pingAndWait();
    },
  },
  {
    name: 'refused-streams',
    summary: 'The stream is cut, and new connections are refused for three seconds.',
    async run({ client, partner }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      client.faults.streams.isRefusing = true;
      client.faults.cutStreams();
      await talk.ping();
      await sleep(3_000);
      client.faults.streams.isRefusing = false;
      await talk.whenAnswered();
    },
  },
  {
    name: 'unknown-cursor',
    summary: 'While the client has no stream it misses messages, and then its cursor has expired.',
    missing: 'cursor-unknown',
    async run({ client, partner }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      client.faults.streams.isRefusing = true;
      client.faults.cutStreams();
      for (let count = 0; count < 3; count += 1) await talk.ping();
      client.faults.streams.foreignCursor = foreignCursor;
      client.faults.streams.isRefusing = false;
      await talk.whenAnswered();
      client.faults.streams.foreignCursor = undefined;
      await talk.pingAndWait();
    },
  },
  {
    name: 'short-pages',
    summary: 'The client misses five messages; getMessages returns two at a time.',
    missing: 'all-pages',
    async run({ client, partner }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      client.faults.always('getMessages', { kind: 'limit', limit: 2 });
      client.faults.streams.isRefusing = true;
      client.faults.cutStreams();
      for (let count = 0; count < 5; count += 1) await talk.ping();
      client.faults.streams.foreignCursor = foreignCursor;
      client.faults.streams.isRefusing = false;
      await talk.whenAnswered();
    },
  },
  {
    name: 'duplicate-events',
    summary: 'Every event arrives twice.',
    doubled: 'duplicate-events',
    async run({ client, partner }) {
      client.faults.streams.isRepeating = true;
      const talk = await partner.talk();
      for (let count = 0; count < 3; count += 1) await talk.ping();
      await talk.whenAnswered();
    },
  },
  {
    name: 'reordered-events',
    summary: 'Events of one conversation overtake those of another, and the stream is cut in between.',
    async run({ client, partner, random }) {
      const [first, second] = [await partner.talk(), await partner.talk()];
      await first.pingAndWait();
      await second.pingAndWait();
      client.faults.streams.holds = (event) => 'message' in event && event.message.convoId === first.convoId;
      for (let count = 0; count < 3; count += 1) await first.ping();
      await second.pingAndWait();
      if (random() < 0.5) client.faults.cutStreams();
      client.faults.releaseEvents();
      await first.whenAnswered();
      await second.pingAndWait();
    },
  },
];
