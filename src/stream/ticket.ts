import type { KeyObject } from 'node:crypto';
import { EncryptJWT, errors, jwtDecrypt } from 'jose';
import type { Caller } from '#domain/caller.ts';
import type { Clock } from '#platform/clock.ts';
import { AppError } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';

/** Opens one subscription within half a minute. */
export interface Ticket {
  readonly caller: Caller;
  /** The only conversation to hear of; undefined for all of the caller's. */
  readonly conversationId: string | undefined;
}

export interface Tickets {
  issue(ticket: Ticket): Promise<{ text: string; expiresAt: Date }>;
  /** @throws AppError BadTicket when it is not ours, expired, or used before. */
  redeem(text: string | undefined): Promise<Ticket>;
}

export interface TicketFacts {
  readonly did: string;
  readonly issuedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

/** Single use over all servers, as for service tokens. */
export interface TicketUses {
  firstUse(ticketId: string, ticket: TicketFacts): Promise<boolean>;
}

const lifetimeSeconds = 30;

/** Tickets travel in URLs, which proxies log, so they are encrypted (JWE `dir`, A256GCM) and show no name. */
export function createTickets(deps: { key: KeyObject; serviceDid: string; clock: Clock; uses: TicketUses }): Tickets {
  const { key, serviceDid, clock } = deps;
  return {
    async issue({ caller, conversationId }) {
      const nowSeconds = Math.floor(clock.nowMs() / 1_000);
      const text = await new EncryptJWT(conversationId === undefined ? {} : { convoId: conversationId })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setSubject(caller.did)
        .setAudience(serviceDid)
        .setJti(newSecret(16).toString('base64url'))
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + lifetimeSeconds)
        .encrypt(key);
      return { text, expiresAt: new Date((nowSeconds + lifetimeSeconds) * 1_000) };
    },
    async redeem(text) {
      const { sub, jti, iat, exp, ...claims } = await open(deps, text);
      if (sub === undefined || jti === undefined || iat === undefined || exp === undefined) throw badTicket();
      if (!(await deps.uses.firstUse(jti, { did: sub, issuedAtSeconds: iat, expiresAtSeconds: exp })))
        throw badTicket();
      const convoId = claims['convoId'];
      return { caller: { did: sub }, conversationId: typeof convoId === 'string' ? convoId : undefined };
    },
  };
}

async function open(
  deps: { key: KeyObject; serviceDid: string; clock: Clock },
  text: string | undefined,
): Promise<Awaited<ReturnType<typeof jwtDecrypt>>['payload']> {
  try {
    const options = {
      audience: deps.serviceDid,
      currentDate: new Date(deps.clock.nowMs()),
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    };
    return (await jwtDecrypt(text ?? '', deps.key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) throw badTicket();
    throw error;
  }
}

function badTicket(): AppError {
  return new AppError('BadTicket', 'The ticket is missing, expired or used. Get a new one with getSubscriptionTicket.');
}
