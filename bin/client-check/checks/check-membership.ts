import { isEvent } from '#client/stream/stream-event.ts';
import { textOf } from '../record.ts';
import type { CallRecord, ClientRecord } from '../record.ts';
import type { Finding } from '../rules.ts';

const welcomeCallsMax = 5;
/** Time in which a client may still send what it was sending when it learned of its removal. */
const removalGraceMs = 1_000;
const sending = ['sendMessage', 'commit', 'addMembers', 'removeMember'];

/** Checks how the client joins and leaves conversations. */
export function checkMembership(record: ClientRecord): Finding[] {
  const convoIds = new Set(record.calls.map((call) => textOf(call, 'convoId')).filter((convoId) => convoId !== ''));
  return [...convoIds].flatMap((convoId) => {
    const calls = record.calls.filter((call) => textOf(call, 'convoId') === convoId);
    return [...confirmed(calls), ...asking(calls), ...afterRemoval(record, calls, convoId)];
  });
}

function confirmed(calls: readonly CallRecord[]): Finding[] {
  const got = calls.find(({ method, outcome }) => method === 'getWelcome' && outcome?.status === 200);
  const isMissing =
    got !== undefined &&
    !calls.some(({ method, startedMs }) => method === 'confirmWelcome' && startedMs > got.startedMs);
  return isMissing
    ? [{ rule: 'welcome-confirmed', seen: `The Welcome of conversation ${shortId(calls)} was not confirmed.` }]
    : [];
}

function asking(calls: readonly CallRecord[]): Finding[] {
  const welcomes = calls.filter(({ method }) => method === 'getWelcome');
  const first = welcomes.findIndex(({ outcome }) => outcome?.error === 'WelcomeNotFound');
  const after = first < 0 ? 0 : welcomes.length - first - 1;
  if (after <= welcomeCallsMax) return [];
  return [
    { rule: 'welcome-missing', seen: `getWelcome of conversation ${shortId(calls)} was called again and again.` },
  ];
}

function afterRemoval({ deliveries, did }: ClientRecord, calls: readonly CallRecord[], convoId: string): Finding[] {
  const changes = deliveries.flatMap(({ event, atMs }) =>
    isEvent(event, 'membershipChangeEvent') && event.did === did && event.convoId === convoId
      ? [{ isMember: event.action === 'joined', atMs }]
      : [],
  );
  const refusals = calls.flatMap(({ outcome }) =>
    outcome?.error === 'NotMember' ? [{ isMember: false, atMs: outcome.endedMs }] : [],
  );
  const history = [...changes, ...refusals].toSorted((a, b) => a.atMs - b.atMs);
  return calls.flatMap(({ method, startedMs }) => {
    const known = history.filter(({ atMs }) => atMs < startedMs);
    const lastMember = known.findLastIndex(({ isMember }) => isMember);
    const removed = known[lastMember + 1];
    if (!sending.includes(method) || removed === undefined || startedMs - removed.atMs < removalGraceMs) return [];
    const seconds = ((startedMs - removed.atMs) / 1_000).toFixed(1);
    const seen = `${method} for conversation ${shortId(calls)} was called ${seconds} s after the removal.`;
    return [{ rule: 'after-removal' as const, seen }];
  });
}

function shortId([first]: readonly CallRecord[]): string {
  return first === undefined ? '' : `${textOf(first, 'convoId').slice(0, 8)}…`;
}
