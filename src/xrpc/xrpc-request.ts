import type { IncomingMessage } from 'node:http';
import { newRequestId } from '#platform/ids.ts';
import type { Exchange } from '#edge/exchange.ts';
import type { Decision } from '#quota/table/decision.ts';
import type { AddressCharge } from '#quota/client-address/client-address-limiter.ts';
import type { Endpoint } from './endpoint.ts';
import type { OpenWebSocket } from './websocket-upgrade.ts';

/** An HTTP exchange whose path is below `/xrpc/`. */
export interface XrpcExchange extends Exchange {
  /** Completes the WebSocket handshake, or undefined for a request that does not start one. */
  readonly openWebSocket?: OpenWebSocket | undefined;
}

/** A request with the facts that each step adds for later steps and for the response. */
export interface XrpcRequest extends XrpcExchange {
  readonly requestId: string;
  /** The method that the request names, whether or not it exists. */
  readonly nsid: string;
  /** The query string without its question mark. */
  readonly search: string;
  /** The charge of the client address, or undefined until `chargeClientAddress` has run. */
  addressCharge: AddressCharge | undefined;
  /** The last charge of a quota, for the rate limit headers. */
  decision: Decision | undefined;
  endpoint: Endpoint | undefined;
}

const prefix = '/xrpc/';
const healthPath = '/xrpc/_health';

/** Returns whether a request belongs to the API, which has all paths from `/xrpc` on except the health check. */
export function isXrpc({ method, url = '' }: Pick<IncomingMessage, 'method' | 'url'>): boolean {
  if (!url.startsWith('/xrpc')) return false;
  const path = pathOf(url);
  const isHealthCheck = path === healthPath && (method === 'GET' || method === 'HEAD');
  return path === '/xrpc' || (path.startsWith(prefix) && !isHealthCheck);
}

export function newXrpcRequest({ incoming, outgoing, openWebSocket }: XrpcExchange): XrpcRequest {
  const { url = '' } = incoming;
  const path = pathOf(url);
  return {
    incoming,
    outgoing,
    openWebSocket,
    requestId: newRequestId(),
    nsid: path.slice(prefix.length),
    search: url.slice(path.length + 1),
    addressCharge: undefined,
    decision: undefined,
    endpoint: undefined,
  };
}

function pathOf(target: string): string {
  const queryAt = target.indexOf('?');
  return queryAt === -1 ? target : target.slice(0, queryAt);
}
