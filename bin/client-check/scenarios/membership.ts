import { setTimeout as sleep } from 'node:timers/promises';
import { isEvent } from '#client/stream/stream-event.ts';
import { NoAnswerError } from '../talk.ts';
import type { Scenario } from '../scenario.ts';
import { createGate, until } from '../waiting.ts';

const claimsMax = 250;

/** Scenarios about joining, leaving and keys. */
export const membershipScenarios: readonly Scenario[] = [
  {
    name: 'late-welcome',
    summary: 'The Welcome comes after messages and a commit of the conversation.',
    async run({ client, partner, whenCalled }) {
      const gate = createGate();
      void client.faults.next('getWelcome', {
        kind: 'respond',
        status: 503,
        error: 'ServiceUnavailable',
        retryAfterSeconds: 1,
      });
      const late = client.faults.next('getWelcome', { kind: 'hold', until: gate.opened });
      try {
        const talk = await partner.talk();
        await talk.ping();
        await whenCalled(late);
        await partner.messenger.updateKeys(talk.convoId);
        await talk.ping();
        gate.open();
        await talk.whenAnswered();
      } finally {
        gate.open();
      }
    },
  },
  {
    name: 'lost-joining',
    summary: 'While the client joins, the first responses of getWelcome and confirmWelcome are lost.',
    async run({ client, partner }) {
      for (const method of ['getWelcome', 'confirmWelcome']) void client.faults.next(method, { kind: 'lose-response' });
      const talk = await partner.talk();
      await talk.pingAndWait();
      await talk.pingAndWait();
    },
  },
  {
    name: 'missing-welcome',
    summary: 'The conversation has no Welcome for the client.',
    missing: 'welcome-missing',
    async run({ client, partner, answerMs }) {
      const end = client.faults.always('getWelcome', { kind: 'respond', status: 404, error: 'WelcomeNotFound' });
      const talk = await partner.talk();
      const hasJoined = (): boolean => {
        // A member adds the client again, with another Welcome.
        if (client.record.calls.some(({ method }) => method === 'readdition' || method === 'rejoin')) end();
        return (partner.messenger.group(talk.convoId)?.epoch ?? 0) > 1;
      };
      if (!(await until(hasJoined, answerMs))) throw new NoAnswerError('the client did not join');
      await talk.pingAndWait();
    },
  },
  {
    name: 'external-commit',
    summary: 'Another member loses its keys and joins anew by external commit.',
    async run({ partner }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      await partner.messenger.rejoin(talk.convoId);
      await talk.pingAndWait();
    },
  },
  {
    name: 'removal',
    summary: 'The client is removed while a message of it is on its way, and is added again later.',
    async run({ client, partner, whenCalled }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      const gate = createGate();
      const held = client.faults.next('sendMessage', { kind: 'hold', until: gate.opened });
      try {
        await talk.ping();
        await whenCalled(held);
        await partner.messenger.removeMember(talk.convoId, client.did);
      } finally {
        gate.open();
      }
      await sleep(2_000);
      talk.forgetUnanswered();
      await partner.messenger.addMembers(talk.convoId, [client.did]);
      await talk.pingAndWait();
    },
  },
  {
    name: 'low-key-packages',
    summary: 'Others claim the key packages of the client until the service gives notice.',
    async run({ client, partner, claimKeyPackage, answerMs }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      const before = client.record.deliveries.length;
      const isNoticed = (): boolean =>
        client.record.deliveries
          .slice(before)
          .some(({ event }) => isEvent(event, 'infoEvent') && event.code === 'keyPackagesLow');
      for (let count = 0; count < claimsMax && !isNoticed(); count += 1) {
        if (!(await claimKeyPackage())) break;
      }
      await until(isNoticed, answerMs);
      await talk.pingAndWait();
    },
  },
  {
    name: 'key-change',
    summary: 'The signing key in the DID document of the client changes.',
    missing: 'token-signature',
    async run({ partner, changeKey }) {
      const talk = await partner.talk();
      await talk.pingAndWait();
      await changeKey();
      await talk.pingAndWait();
    },
  },
];
