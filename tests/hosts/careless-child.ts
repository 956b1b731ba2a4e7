/**
 * A loopback host as one would write it in a hurry, for the tests to find wanting: it reads what
 * it is sent, waits for slow clients, leaves files open, keeps every socket and dies when one is reset. Prints its port.
 */
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  request.resume();
  if (request.method === 'GET') createReadStream(process.argv[2]).pipe(response);
});
server.on('upgrade', (_request, socket) => {
  setTimeout(() => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'), 1);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
