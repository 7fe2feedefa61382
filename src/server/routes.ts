import type { Hono } from 'hono';
import { edgeErrorResponse } from '#edge/edge-error.ts';
import type { EdgeErrorCode } from '#edge/edge-error.ts';
import type { Exchange, HttpResponse, Routes } from '#edge/exchange.ts';
import type { Endpoint } from '#xrpc/endpoint.ts';
import type { RespondToXrpc } from '#xrpc/respond-to-xrpc.ts';
import { createWebSocketServer, webSocketFilter, webSocketOpener } from '#xrpc/websocket-upgrade.ts';
import { isXrpc } from '#xrpc/xrpc-request.ts';

/** The parts of an app that respond to requests. */
export interface Served {
  readonly respondToXrpc: RespondToXrpc;
  /** Serves every path that is not XRPC. */
  readonly http: Hono;
  readonly endpoints: readonly Endpoint[];
}

/** Creates the routes, which pass requests for XRPC to `src/xrpc` and all others to Hono. */
export function createRoutes({ respondToXrpc, http, endpoints }: Served, onError: (error: unknown) => void): Routes {
  const respondWithHono = honoResponder(http, onError);
  const webSockets = createWebSocketServer();
  return {
    respond: (exchange) => (isXrpc(exchange.incoming) ? respondToXrpc(exchange) : respondWithHono(exchange)),
    mayUpgrade: webSocketFilter(endpoints),
    respondToUpgrade: (exchange, socket, head) =>
      respondToXrpc({ ...exchange, openWebSocket: webSocketOpener(webSockets, { ...exchange, socket, head }) }),
  };
}

/** Creates a responder that passes requests to Hono without their body, because no route of Hono reads a body. */
function honoResponder(http: Hono, onError: (error: unknown) => void): (exchange: Exchange) => Promise<HttpResponse> {
  http.notFound(() => errorPage('NotFound'));
  http.onError((error) => {
    onError(error);
    return errorPage('InternalServerError');
  });
  return async ({ incoming }) => {
    const { method = 'GET', url = '/', headersDistinct } = incoming;
    const headers = Object.entries(headersDistinct).map(([name, values = []]): [string, string] => [
      name,
      values.join(', '),
    ]);
    // A HEAD request is routed as GET, so that it gets the length of the GET response (RFC 9110 section 9.3.2); the
    // edge leaves out the body.
    const routedMethod = method === 'HEAD' ? 'GET' : method;
    // The host of the URL is fixed, because no route depends on the host of the request.
    const response = await http.fetch(new Request(`http://localhost${url}`, { method: routedMethod, headers }));
    const { 'content-length': _edgeAddsIt, ...kept } = Object.fromEntries(response.headers);
    return { status: response.status, headers: kept, body: Buffer.from(await response.arrayBuffer()) };
  };
}

function errorPage(code: EdgeErrorCode): Response {
  const { status, headers, body } = edgeErrorResponse(code);
  const { Connection: _staysOpen, ...kept } = headers;
  return new Response(body, { status, headers: kept });
}
