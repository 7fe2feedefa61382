import { deviceDid } from '#domain/devices/device.ts';
import { registerDevice as register } from '#domain/devices/register-device.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/registerDevice.defs.ts';
import { bufferOf, keyPackageUpload } from '#xrpc/blob-input.ts';

export const registerDevice = (deps: Parameters<typeof register>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'registerDevice',
    bodySizeBytesMax: limits.keyPackagesBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      if (input.keyPackages.length > limits.keyPackagesPerRegistrationMax) {
        throw refusalFor('InvalidKeyPackages', 'tooMany');
      }
      const { deviceId } = await register(deps, caller, {
        name: input.deviceName,
        // Public clients use both spellings of the field.
        uuid: input.deviceUUID ?? input.deviceUuid,
        signatureKey: bufferOf(input.signaturePublicKey),
        keyPackages: input.keyPackages.map((item) => keyPackageUpload(item)),
      });
      return { deviceId, mlsDid: deviceDid(caller.did, deviceId), autoJoinedConvos: [] };
    },
  });
