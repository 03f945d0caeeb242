// What a town can be told, what it refuses, and which ports it takes.
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { readTownOptions } from '../src/index.ts';
import { planPorts } from '../src/town/town-ports.ts';

const here = { host: '127.0.0.1', gatewayHost: '127.0.0.1' };
const read = (environment: Record<string, string>) => readTownOptions(environment);
const tls = { SIEGEL_TLS_CERTIFICATE: '/c.pem', SIEGEL_TLS_KEY: '/k.pem' };
const sms = { SIEGEL_SMS_URL: 'https://sms.example' };

test('without an environment it is port 4400 on this machine', () => {
  expect(read({})).toMatchObject({ port: 4400, host: '127.0.0.1', behindProxy: false });
});

test('a public address is refused without TLS or a proxy, and without somebody who sends SMS', () => {
  for (const host of ['0.0.0.0', '192.0.2.1', '::', 'siegel.example']) {
    expect(() => read({ SIEGEL_HOST: host })).toThrow('SIEGEL_BEHIND_PROXY');
    expect(() => read({ SIEGEL_HOST: host, ...tls })).toThrow('SIEGEL_SMS_URL');
    expect(read({ SIEGEL_HOST: host, ...tls, ...sms }).host).toBe(host);
    expect(read({ SIEGEL_HOST: host, SIEGEL_BEHIND_PROXY: '1', ...sms }).behindProxy).toBe(true);
  }
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
    expect(read({ SIEGEL_HOST: host }).host).toBe(host);
  }
});

test('a port that is none, or too high for its neighbours, is refused', () => {
  for (const port of ['-1', '65536', '65500', 'http', '44 00', '1e3']) {
    expect(() => read({ SIEGEL_PORT: port })).toThrow('SIEGEL_PORT');
  }
  expect(read({ SIEGEL_PORT: '0' }).port).toBe(0);
});

test('relay and gateways do not share a database', () => {
  const url = 'postgresql://db/siegel';
  expect(() => read({ DATABASE_URL: url, SIEGEL_GATEWAY_DATABASE_URL: url })).toThrow('same');
});

test('the ports follow the plan of the design', async () => {
  const ports = await planPorts({ port: 24400, ...here, firms: 3 });
  expect(ports).toMatchObject({ relay: 24400, business: 24401, console: 24402 });
  expect(ports.gateways).toEqual([24500, 24501, 24502]);
  expect(ports.bots).toHaveLength(3);
});

test('port 0 gives free ones, all different', async () => {
  const {
    relay,
    business,
    console: consolePort,
    gateways,
    bots,
  } = await planPorts({
    port: 0,
    ...here,
    firms: 4,
  });
  const all = [relay, business, consolePort, ...gateways];
  expect(new Set(all).size).toBe(7);
  expect(new Set(bots).size).toBe(4);
});

test('a taken port is named', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const planned = planPorts({ port, ...here, firms: 0 });
  await expect(planned).rejects.toThrow(`Port ${port} is taken`);
  await new Promise((resolve) => other.close(resolve));
});
