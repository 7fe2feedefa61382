import type { ApiClient } from '../api/api-client.ts';
import type { Connection, ConnectionRequest } from './connection.ts';
/** The socket did not open: a proxy may block WebSockets, or the service refused the request. */
export declare class SocketNotOpenedError extends Error {
    readonly name = "SocketNotOpenedError";
}
/**
 * Opens subscribeConvoEvents with a ticket.
 * @throws ApiError when the service gives no ticket.
 * @throws SocketNotOpenedError; browsers do not show the reason.
 */
export declare function openWebSocket(api: ApiClient, request: ConnectionRequest): Promise<Connection>;
