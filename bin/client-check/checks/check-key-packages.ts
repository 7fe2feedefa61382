import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { checkKeyPackage } from '#mls/key-packages/key-package.ts';
import { limits } from '#platform/limits.ts';
import { decodeBase64, encodeHex } from '#client/api/bytes.ts';
import { isEvent } from '#client/stream/stream-event.ts';
import type { CallRecord, ClientRecord } from '../record.ts';
import type { Finding } from '../rules.ts';

const publishing = ['registerDevice', 'publishKeyPackages', 'publishKeyPackage'];

interface Upload {
  readonly call: CallRecord;
  readonly index: number;
  readonly ref: string;
  readonly isLastResort: boolean;
}

/**
 * Checks which key packages the client publishes, and when. A notice may have been made before the client's last publication arrived, so
 * `isLow` asks the service for the present state.
 */
export async function checkKeyPackages(record: ClientRecord, isLow: () => Promise<boolean>): Promise<Finding[]> {
  const uploads = await uploadsOf(record);
  const published = uploads.filter(({ call }) => call.outcome?.status === 200);
  return [
    ...publishedTwice(uploads),
    ...(published.length > 0 && !published.some(({ isLastResort }) => isLastResort)
      ? [{ rule: 'last-resort' as const, seen: `None of the ${published.length} published key packages is one.` }]
      : []),
    ...(isNotRefilled(record) && (await isLow()) ? [notRefilled] : []),
  ];
}

async function uploadsOf({ calls, did }: ClientRecord): Promise<Upload[]> {
  const uploads: Upload[] = [];
  for (const [index, call] of calls.entries()) {
    if (!publishing.includes(call.method)) continue;
    for (const { keyPackage, cipherSuite } of itemsOf(call)) {
      // The service refuses what cannot be read.
      const checked = await checkKeyPackage(keyPackage, {
        cipherSuite: cipherSuiteNumber(cipherSuite) ?? 0,
        identity: did,
        nowMs: Date.now(),
        lifetimeMsMax: limits.keyPackageLifetimeMsMax,
      }).catch(() => undefined);
      if (checked === undefined) continue;
      uploads.push({ call, index, ref: encodeHex(checked.ref), isLastResort: checked.lastResort });
    }
  }
  return uploads;
}

function itemsOf({ method, request }: CallRecord): { readonly keyPackage: Uint8Array; readonly cipherSuite: string }[] {
  const items: unknown = method === 'publishKeyPackage' ? [request] : request['keyPackages'];
  if (!Array.isArray(items)) return [];
  return items.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null) return [];
    const { keyPackage, cipherSuite }: { keyPackage?: unknown; cipherSuite?: unknown } = item;
    if (typeof keyPackage !== 'string' || typeof cipherSuite !== 'string') return [];
    return [{ keyPackage: decodeBase64(keyPackage), cipherSuite }];
  });
}

function publishedTwice(uploads: readonly Upload[]): Finding[] {
  return uploads.flatMap(({ call, index, ref }) => {
    const isRepeated = uploads.some(
      (each) =>
        each.ref === ref &&
        each.call !== call &&
        each.call.outcome?.status === 200 &&
        each.call.outcome.endedMs < call.startedMs,
    );
    const seen = `Call ${index + 1}, ${call.method}, has a key package that an earlier call has published.`;
    return isRepeated ? [{ rule: 'key-package-once' as const, seen }] : [];
  });
}

const notRefilled: Finding = { rule: 'key-packages-low', seen: 'The client published none after the notice.' };

function isNotRefilled({ deliveries, calls }: ClientRecord): boolean {
  const notice = deliveries.findLast(({ event }) => isEvent(event, 'infoEvent') && event.code === 'keyPackagesLow');
  if (notice === undefined) return false;
  return !calls.some(
    ({ method, startedMs, outcome }) =>
      publishing.includes(method) && startedMs > notice.atMs && outcome?.status === 200,
  );
}
