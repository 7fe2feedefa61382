import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

// A WebSocket server that sends every message that it receives to all of its clients, and nothing else.

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    for (const client of server.clients) client.send(data);
  });
});
server.on('listening', () => console.info((server.address() as AddressInfo).port));
