import { required } from '#platform/errors.ts';
import { MlsDevice } from '../../test/support/mls/mls-device.ts';
import { runClosedLoop } from '../load/closed-loop.ts';
import { getRequest, postRequest } from '../load/http-connection.ts';
import type { Side } from '../load/side.ts';
import type { Workload } from './workload.ts';

const cipherSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const packagesPerCall = 6;
/** More than one, so that most calls run compiled code; five rounds stay below the number that a device may have. */
const callsPerPerson = 3;
const connections = 16;
const dayMs = 86_400_000;

const publish: Workload = {
  name: 'publish-key-packages',
  title: `publishKeyPackages with ${packagesPerCall} real packages each`,
  unit: 'call',
  async prepare(side) {
    const requests = await publishRequests(side, callsPerPerson);
    return { run: () => runClosedLoop(side.server.serverPort, connections, requests) };
  },
};

const claim: Workload = {
  name: 'claim-key-packages',
  title: 'getKeyPackages of one person, each package handed to one caller',
  unit: 'claim',
  async prepare(side) {
    await runClosedLoop(side.server.serverPort, connections, await publishRequests(side, 1));
    const requests = claimRequests(side, await firstCallerOffset(side));
    const claimed = new Set<string>();
    return {
      run: async () => {
        const outcome = await runClosedLoop(side.server.serverPort, connections, requests, ({ body }) => {
          const { keyPackages } = JSON.parse(body.toString('utf8')) as { keyPackages: { keyPackage: string }[] };
          claimed.add(required(keyPackages[0], 'a key package').keyPackage);
        });
        if (claimed.size !== requests.length) throw new Error('a key package was handed out twice');
        return outcome;
      },
    };
  },
};

export const keyPackageWorkloads = [publish, claim];

/** Interleaves the calls of all people, each of which publishes new packages of the person's one device. */
async function publishRequests(side: Side, callsEach: number): Promise<Buffer[]> {
  const devices = await side.once('devices', () =>
    Promise.all(side.people.map(({ did }) => MlsDevice.create(did, cipherSuite))),
  );
  const expires = new Date(Date.now() + dayMs).toISOString();
  const requests: Buffer[] = [];
  for (let call = 0; call < callsEach; call++) {
    for (const [index, { mintToken }] of side.people.entries()) {
      const device = required(devices[index], 'a device');
      const packages = await Promise.all(Array.from({ length: packagesPerCall }, () => device.createKeyPackage()));
      const keyPackages = packages.map(({ bytes }) => ({
        keyPackage: Buffer.from(bytes).toString('base64'),
        cipherSuite,
        expires,
      }));
      requests.push(
        postRequest('publishKeyPackages', mintToken('publishKeyPackages'), JSON.stringify({ keyPackages })),
      );
    }
  }
  return requests;
}

/** The same caller gets the same package for ten minutes, so each round lets other callers ask. */
async function firstCallerOffset(side: Side): Promise<number> {
  const rounds = await side.once('claim rounds', async () => ({ count: 0 }));
  rounds.count += 1;
  return 1 + (rounds.count - 1) * packagesPerCall;
}

function claimRequests({ people }: Side, firstOffset: number): Buffer[] {
  return people.flatMap((target, index) =>
    Array.from({ length: packagesPerCall }, (_, each) => {
      const caller = required(people[(index + firstOffset + each) % people.length], 'a person');
      return getRequest('getKeyPackages', caller.mintToken('getKeyPackages'), `dids=${encodeURIComponent(target.did)}`);
    }),
  );
}
