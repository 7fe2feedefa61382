import { isAppError } from '#platform/errors.ts';
import type { QuotaCharger } from '#quota/charge.ts';
import type { Decision } from '#quota/decision.ts';
import type { Doorkeeper } from '#quota/doorkeeper.ts';
import type { CallerQuotaName } from '#quota/quotas.ts';
import { generalError } from './response/general-error.ts';
import { rateLimitExceeded } from './response/rate-limit.ts';
import type { XrpcRequest } from './xrpc-request.ts';

/**
 * Errors that show a forged or guessed token. A token that is missing, expired, used twice, or impossible to check at the moment
 * counts as no failure, because clients without bad intent send those too.
 */
const countedFailures: ReadonlySet<string> = new Set([
  'BadJwt',
  'BadJwtAudience',
  'BadJwtIssuer',
  'BadJwtLexiconMethod',
  'BadJwtLifetime',
  'BadJwtSignature',
  'BadJwtType',
  'BadTicket',
]);

/**
 * Charges the client address before anything of the request is parsed.
 * @throws AppError UnknownAddress, AddressRefused, RateLimitExceeded.
 */
export async function chargeClientAddress(doorkeeper: Doorkeeper, request: XrpcRequest): Promise<void> {
  const { socket, headersDistinct } = request.incoming;
  const entry = await doorkeeper.admit({ peer: socket.remoteAddress, header: (name) => headersDistinct[name] });
  switch (entry.outcome) {
    case 'unknown':
      throw generalError('UnknownAddress');
    case 'unwanted':
      throw generalError('AddressRefused');
    case 'limited':
      return noteCharge(request, entry.decision);
    case 'admitted':
      request.client = entry.visitor;
      request.decision = entry.decision;
  }
}

/**
 * Runs `verify`, which identifies the caller, and refunds the charge of the client address when it succeeds; a forged or guessed
 * token is counted as a failed authentication.
 * @throws what `verify` throws, or AppError RateLimitExceeded when the address has too many failed authentications.
 */
export async function authenticate<Identity>(
  doorkeeper: Doorkeeper,
  request: XrpcRequest,
  verify: () => Promise<Identity>,
): Promise<Identity> {
  const { client } = request;
  try {
    const identity = await verify();
    if (client !== undefined) await doorkeeper.recognise(client);
    return identity;
  } catch (error) {
    if (client === undefined || !isAppError(error) || !countedFailures.has(error.code)) throw error;
    const decision = await doorkeeper.suspect(client);
    if (decision?.allowed === false) noteCharge(request, decision);
    throw error;
  }
}

/** Charges the account `did` one request of `quota`. @throws AppError RateLimitExceeded. */
export async function chargeAccount(
  charger: QuotaCharger,
  request: XrpcRequest,
  { did, quota }: { readonly did: string; readonly quota: CallerQuotaName },
): Promise<void> {
  noteCharge(request, await charger.takeCaller(did, quota));
}

/** @throws AppError RateLimitExceeded when `decision` refuses. */
function noteCharge(request: XrpcRequest, decision: Decision): void {
  request.decision = decision;
  if (!decision.allowed) throw rateLimitExceeded(decision);
}
