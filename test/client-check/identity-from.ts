import type { ClientIdentity } from '../../bin/client-check/session.ts';

/** The identity that the check gives to the command of a client. */
export function identityFrom(env: NodeJS.ProcessEnv): ClientIdentity {
  return {
    serviceUrl: env['NIGHTJAR_URL'] ?? '',
    serviceDid: env['NIGHTJAR_SERVICE_DID'] ?? '',
    did: env['NIGHTJAR_CLIENT_DID'] ?? '',
    keyFile: env['NIGHTJAR_CLIENT_KEY_FILE'] ?? '',
  };
}
