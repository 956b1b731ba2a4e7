/**
 * The switches that the shell gives to Chromium, in a real one: a page that may run any script
 * and has no policy at all reaches nobody, by fetch, socket, image, beacon, WebRTC or name.
 * Without the switches the same page reaches the listeners here, so they would hear.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { chromium, expect, test } from '@playwright/test';
import { SWITCHES } from '../../electron/security.ts';

/** An address of this machine that is not loopback, because WebRTC does not go there. */
const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

/** What reaches listeners on this machine while a page tries everything it knows. */
async function reached(args: string[]): Promise<{ tcp: number; udp: number }> {
  const heard = { tcp: 0, udp: 0 };
  const server = createServer((socket) => {
    heard.tcp++;
    socket.on('error', () => undefined).destroy();
  });
  const udp = createSocket('udp4', () => heard.udp++);
  await once(server.listen(0, '0.0.0.0'), 'listening');
  udp.bind(0, '0.0.0.0');
  await once(udp, 'listening');
  const options = test.info().project.use.launchOptions ?? {};
  const browser = await chromium.launch({ ...options, args: [...(options.args ?? []), ...args] });
  const page = await browser.newPage();
  await page.evaluate(
    async ({ addresses, tcp, udp }) => {
      for (const host of addresses) {
        const url = `http://${host}:${tcp}/`;
        void fetch(url, { mode: 'no-cors' }).catch(() => undefined);
        new Image().src = url;
        navigator.sendBeacon(url, 'x');
        new WebSocket(url.replace('http', 'ws')).onerror = () => undefined;
        const iceServers = [
          { urls: `stun:${host}:${udp}` },
          { urls: `turn:${host}:${udp}?transport=udp`, username: 'a', credential: 'b' },
          { urls: `turn:${host}:${tcp}?transport=tcp`, username: 'a', credential: 'b' },
        ];
        const connection = new RTCPeerConnection({ iceServers });
        connection.createDataChannel('x');
        await connection.setLocalDescription(await connection.createOffer());
      }
      await new Promise((resolve) => setTimeout(resolve, 1500));
    },
    {
      addresses: ['127.0.0.1', 'localhost', own!],
      tcp: (server.address() as AddressInfo).port,
      udp: udp.address().port,
    },
  );
  await browser.close();
  server.close();
  udp.close();
  return heard;
}

test('The desktop’s switches keep a hostile page from reaching anybody', async () => {
  test.skip(own === undefined, 'this machine has no address but loopback');
  const open = await reached([]);
  expect(open.tcp).toBeGreaterThan(0);
  expect(open.udp).toBeGreaterThan(0);
  const switches = SWITCHES.map(([name, value]) => `--${name}${value === undefined ? '' : `=${value}`}`);
  expect(await reached(switches)).toEqual({ tcp: 0, udp: 0 });
});
