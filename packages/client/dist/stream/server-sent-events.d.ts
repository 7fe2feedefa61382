import type { ApiClient } from '../api/api-client.ts';
import type { Connection, ConnectionRequest } from './connection.ts';
/**
 * Opens streamConvoEvents. The reader sets the pace: what it does not read stays in the network.
 * @throws ApiError for an error response, NoResponseError when none arrived.
 */
export declare function openServerSentEvents(api: ApiClient, request: ConnectionRequest): Promise<Connection>;
