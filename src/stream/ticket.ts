import type { KeyObject } from 'node:crypto';
import { EncryptJWT, errors, jwtDecrypt } from 'jose';
import type { Caller } from '#domain/caller.ts';
import type { Clock } from '#platform/clock.ts';
import { AppError } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';

/** The right to open one subscription within 30 seconds after the ticket was issued. */
export interface Ticket {
  readonly caller: Caller;
  /** The only conversation whose events are delivered, or undefined for all conversations of the caller. */
  readonly conversationId: string | undefined;
}

export interface Tickets {
  issue(ticket: Ticket): Promise<{ text: string; expiresAt: Date }>;
  /**
   * Returns the ticket of `text` and records its use.
   * @throws AppError BadTicket when this service did not issue the ticket, or it has expired or was used before.
   */
  redeem(text: string | undefined): Promise<Ticket>;
}

export interface TicketClaims {
  readonly did: string;
  readonly issuedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

/** The record of used tickets, which all servers share. */
export interface TicketUses {
  /** Records the use of a ticket, and returns true if it is the first use. */
  firstUse(ticketId: string, ticket: TicketClaims): Promise<boolean>;
}

const lifetimeSeconds = 30;

/** Creates tickets as JWE (`dir`, A256GCM). They are encrypted because they are part of URLs, which proxies log. */
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
      const { sub, jti, iat, exp, ...claims } = await decryptTicket(deps, text);
      if (sub === undefined || jti === undefined || iat === undefined || exp === undefined) throw badTicket();
      if (!(await deps.uses.firstUse(jti, { did: sub, issuedAtSeconds: iat, expiresAtSeconds: exp })))
        throw badTicket();
      const convoId = claims['convoId'];
      return { caller: { did: sub }, conversationId: typeof convoId === 'string' ? convoId : undefined };
    },
  };
}

async function decryptTicket(
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
