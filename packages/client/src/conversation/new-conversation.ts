import { encodeBase64, encodeHex } from '../api/bytes.ts';
import { hashesOf } from './commit-makers.ts';
import type { ClaimedKeyPackage } from './commit-makers.ts';
import type { Context } from './context.ts';
import type { GroupRecord } from './records.ts';

/** Makes a group with the people of these key packages and the call that creates its conversation; neither is stored or sent. */
export async function newConversation(
  context: Context,
  claimed: readonly ClaimedKeyPackage[],
  metadata: { name?: string; description?: string } | undefined,
): Promise<{ readonly convoId: string; readonly record: GroupRecord }> {
  const { engine, identity } = context;
  const groupId = crypto.getRandomValues(new Uint8Array(16));
  const convoId = encodeHex(groupId);
  const alone = await engine.createGroup(identity, groupId);
  const added = claimed.length === 0 ? undefined : await engine.commit(alone, claimed.map(additionOf));
  const state = added?.nextState ?? alone;
  const request = {
    groupId: convoId,
    cipherSuite: engine.cipherSuite,
    idempotencyKey: crypto.randomUUID(),
    groupInfo: encodeBase64(added?.groupInfo ?? (await engine.exportGroupInfo(alone))),
    currentEpoch: added === undefined ? 0 : 1,
    ...(metadata === undefined ? {} : { metadata }),
    ...(added?.welcome === undefined
      ? {}
      : {
          initialMembers: [...new Set(claimed.map(({ did }) => did))],
          welcomeMessage: encodeBase64(added.welcome),
          keyPackageHashes: hashesOf(claimed),
        }),
  };
  const call = { name: 'createConvo', request } as const;
  const pending = { epoch: 0, digest: new Uint8Array(), nextState: state, call, isEntry: true } as const;
  return { convoId, record: { state, lastSeq: 0, outgoing: [], pending } };
}

function additionOf({ keyPackage }: ClaimedKeyPackage): { readonly kind: 'add'; readonly keyPackage: Uint8Array } {
  return { kind: 'add', keyPackage };
}
