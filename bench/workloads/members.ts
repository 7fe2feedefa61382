import { required } from '#platform/errors.ts';
import { craftCommit } from '../../test/support/mls/crafted-mls.ts';
import { randomPlcDid } from '../../test/support/clients/account.ts';
import { runClosedLoop } from '../load/closed-loop.ts';
import { createConversations } from '../load/conversations.ts';
import type { SeededConversation } from '../load/conversations.ts';
import { expectOk, getRequest, postRequest } from '../load/http-connection.ts';
import { createPerson } from '../load/people.ts';
import { readySends } from '../load/send-requests.ts';
import type { Side } from '../load/side.ts';
import type { Workload } from './workload.ts';

const largeGroupMembers = 1_000;
const addedAtOnce = 50;
const additionsPerRound = 10;
const listedConversations = 200;
const listRequests = 300;
const listConnections = 8;
const racedEpochs = 60;
const racers = 8;
const largeSendConnections = 64;

/** Creates conversations of `members` people, of whom only the creator has tokens. */
function createLarge({ server, people }: Side, members: number, count: number): Promise<SeededConversation[]> {
  const creator = required(people[0], 'a person');
  const others = Array.from({ length: members - 1 }, () => ({ ...creator, did: randomPlcDid() }));
  return createConversations(
    server,
    Array.from({ length: count }, () => [creator, ...others] as const),
  );
}

const additions: Workload = {
  name: 'add-50',
  title: `addMembers of ${addedAtOnce} people to a group of ${largeGroupMembers - addedAtOnce}`,
  unit: 'call',
  async prepare(side) {
    const groups = await createLarge(side, largeGroupMembers - addedAtOnce, additionsPerRound);
    const requests = groups.map(({ id, groupId, members: [creator] }) => {
      const didList = Array.from({ length: addedAtOnce }, randomPlcDid);
      const body = { convoId: id, didList, commit: craftCommit(groupId, 0).toString('base64') };
      return postRequest('addMembers', creator.mintToken('addMembers'), JSON.stringify(body));
    });
    return { run: () => runClosedLoop(side.server.serverPort, 1, requests) };
  },
};

const largeSends: Workload = {
  name: 'sends-1000-members',
  title: `Sends of 1 KiB, 64 in flight, 16 conversations of ${largeGroupMembers} members`,
  unit: 'send',
  async prepare(side) {
    const groups = await side.once('groups of 1,000', () => createLarge(side, largeGroupMembers, 16));
    const fromCreator = groups.map((group): SeededConversation => ({ ...group, members: [group.members[0]] }));
    const requests = readySends(fromCreator, side.plan.sends / 2).map(({ request }) => request);
    return { run: () => runClosedLoop(side.server.serverPort, largeSendConnections, requests) };
  },
};

const smallSends: Workload = {
  name: 'sends-2-members',
  title: 'Sends of 1 KiB, 64 in flight, 16 conversations of 2 members',
  unit: 'send',
  async prepare({ server, conversations, plan }) {
    const requests = readySends(conversations.slice(0, 16), plan.sends / 2).map(({ request }) => request);
    return { run: () => runClosedLoop(server.serverPort, largeSendConnections, requests) };
  },
};

const conversationList: Workload = {
  name: 'get-convos-200',
  title: `getConvos of a person with ${listedConversations} groups, pages of 100`,
  unit: 'page',
  async prepare(side) {
    const person = await side.once('person with 200 groups', async () => {
      const creator = createPerson(side.server);
      const second = required(side.people[1], 'a person');
      await createConversations(
        side.server,
        Array.from({ length: listedConversations }, () => [creator, second] as const),
      );
      return creator;
    });
    const requests = Array.from({ length: listRequests }, () =>
      getRequest('getConvos', person.mintToken('getConvos'), 'limit=100'),
    );
    return { run: () => runClosedLoop(side.server.serverPort, listConnections, requests) };
  },
};

const commitRaces: Workload = {
  name: 'commit-races',
  title: `Commits: ${racers} requests race for each epoch of one conversation`,
  unit: 'request',
  async prepare({ server, people }) {
    const creator = required(people[0], 'a person');
    const second = required(people[1], 'a person');
    const [conversation] = await createConversations(server, [[creator, second]]);
    const { id, groupId } = required(conversation, 'a conversation');
    const requests = Array.from({ length: racedEpochs * racers }, (_, index) => {
      const commit = craftCommit(groupId, Math.floor(index / racers)).toString('base64');
      const token = creator.mintToken('addMembers');
      return postRequest('addMembers', token, JSON.stringify({ convoId: id, didList: [second.did], commit }));
    });
    let won = 0;
    return {
      async run() {
        const outcome = await runClosedLoop(server.serverPort, racers, requests, (response) => {
          if (response.status === 409) return;
          expectOk(response);
          won += 1;
        });
        if (won !== racedEpochs) throw new Error(`${won} commits won ${racedEpochs} epochs`);
        return outcome;
      },
    };
  },
};

export const memberWorkloads = [smallSends, largeSends, conversationList, additions, commitRaces];
