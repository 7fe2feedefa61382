import type { Caller } from '#domain/caller.ts';
import { isAppError } from '#platform/errors.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { Awaitable, Decision } from '#quota/table/decision.ts';
import type { ClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import type { CallerQuotaName } from '#quota/table/quotas.ts';
import { generalError } from './response/general-error.ts';
import { rateLimitExceeded } from './response/rate-limit.ts';
import type { XrpcRequest } from './xrpc-request.ts';

/**
 * Errors of forged and guessed tokens, which count as failed authentications. Tokens that are missing, expired, used
 * twice or impossible to check now are not counted, because honest clients send them too.
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
 * Charges the client address before any part of the request is parsed.
 * @throws AppError UnknownAddress, AddressRefused, RateLimitExceeded.
 */
export function chargeClientAddress(addressLimiter: ClientAddressLimiter, request: XrpcRequest): void {
  const { incoming } = request;
  // `headersDistinct` is read on demand, because Node creates it from all headers.
  const entry = addressLimiter.admit({
    connection: incoming.socket,
    peer: incoming.socket.remoteAddress,
    header: (name) => incoming.headersDistinct[name],
  });
  switch (entry.outcome) {
    case 'unknown':
      throw generalError('UnknownAddress');
    case 'unwanted':
      throw generalError('AddressRefused');
    case 'limited':
      return noteCharge(request, entry.decision);
    case 'admitted':
      request.addressCharge = entry.addressCharge;
      request.decision = entry.decision;
  }
}

/**
 * Waits for the identity of the caller, and then refunds the charge of the client address. A forged or guessed token is
 * counted as a failed authentication.
 * @throws what `verified` rejects with, or AppError RateLimitExceeded when the address has too many failed authentications.
 */
export async function authenticate<Identity>(
  addressLimiter: ClientAddressLimiter,
  request: XrpcRequest,
  verified: Promise<Identity>,
): Promise<Identity> {
  const { addressCharge } = request;
  try {
    const identity = await verified;
    if (addressCharge !== undefined) addressLimiter.refund(addressCharge);
    return identity;
  } catch (error) {
    if (addressCharge === undefined || !isAppError(error) || !countedFailures.has(error.code)) throw error;
    const decision = addressLimiter.countFailure(addressCharge);
    if (decision?.allowed === false) noteCharge(request, decision);
    throw error;
  }
}

/**
 * Charges one request of `quota` to the account of `caller`.
 * @throws AppError RateLimitExceeded.
 */
export function chargeAccount(
  charger: QuotaCharger,
  request: XrpcRequest,
  { caller, quota }: { readonly caller: Caller; readonly quota: CallerQuotaName },
): Awaitable<void> {
  const decision = charger.takeCaller(caller, quota);
  if (!(decision instanceof Promise)) return noteCharge(request, decision);
  return decision.then((resolved) => noteCharge(request, resolved));
}

/**
 * Stores `decision` for the response headers.
 * @throws AppError RateLimitExceeded when `decision` refuses the request.
 */
function noteCharge(request: XrpcRequest, decision: Decision): void {
  request.decision = decision;
  if (!decision.allowed) throw rateLimitExceeded(decision);
}
