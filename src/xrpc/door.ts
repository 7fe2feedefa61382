import type { IncomingMessage } from 'node:http';
import { isAppError } from '#platform/errors.ts';
import type { Decision } from '#quota/table/decision.ts';
import type { ClientAddressLimiter, AddressCharge } from '#quota/client-address/client-address-limiter.ts';
import { generalError } from './general-error.ts';
import { rateLimitExceeded } from './rate-limit.ts';

/** A request whose sender is being looked at. */
export interface AtTheDoor {
  readonly request: IncomingMessage;
  addressCharge: AddressCharge | undefined;
  /** The last charge, for the headers of the answer. */
  decision: Decision | undefined;
}

/**
 * Refusals that show forging or guessing. No honest client gets them for being late, repeated or unlucky: what is expired, used
 * twice, or cannot be checked at the moment counts nothing, nor does a request without a token.
 */
const guesses: ReadonlySet<string> = new Set([
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
 * Lets a request in as far as its address goes, before anything of it is parsed.
 * @throws AppError UnknownAddress, AddressRefused, RateLimitExceeded.
 */
export async function admit(addressLimiter: ClientAddressLimiter, request: AtTheDoor): Promise<void> {
  const { socket, headersDistinct } = request.request;
  const entry = await addressLimiter.admit({ peer: socket.remoteAddress, header: (name) => headersDistinct[name] });
  switch (entry.outcome) {
    case 'unknown':
      throw generalError('UnknownAddress');
    case 'unwanted':
      throw generalError('AddressRefused');
    case 'limited':
      return charge(request, entry.decision);
    case 'admitted':
      request.addressCharge = entry.addressCharge;
      request.decision = entry.decision;
  }
}

/**
 * Runs `prove`, which says who sends the request, and gives the address its charge back when it does; a guess is counted instead.
 * @throws what `prove` throws, or AppError RateLimitExceeded when there was no room for another guess.
 */
export async function identify<Proof>(
  addressLimiter: ClientAddressLimiter,
  request: AtTheDoor,
  prove: () => Promise<Proof>,
): Promise<Proof> {
  const { addressCharge } = request;
  try {
    const proof = await prove();
    if (addressCharge !== undefined) await addressLimiter.refund(addressCharge);
    return proof;
  } catch (error) {
    if (addressCharge === undefined || !isAppError(error) || !guesses.has(error.code)) throw error;
    const decision = await addressLimiter.countFailure(addressCharge);
    if (decision?.allowed === false) charge(request, decision);
    throw error;
  }
}

/** @throws AppError RateLimitExceeded when `decision` had no room. */
export function charge(request: AtTheDoor, decision: Decision): void {
  request.decision = decision;
  if (!decision.allowed) throw rateLimitExceeded(decision);
}
