// People who registered with the SDK and went away: the relay holds their key packages, nobody has
// written to them yet.

import {
  type DeviceContext,
  finishRegistration,
  proveNumber,
  type Store,
  startRegistration,
} from '@siegel/client';
import { connectToRelay, createMemoryStore, nodeEnvironment } from '@siegel/client/node';
import { createEngine } from '@siegel/crypto';
import { nodeProvider } from '@siegel/crypto/node';
import { PhoneNumber } from '@siegel/protocol/ids';
import { must } from './must.ts';

export type Registered = { readonly number: PhoneNumber; readonly store: Store<undefined> };
type Where = { readonly url: string; readonly smsInbox: string };

const atOnce = 4;

/** Numbers of Berlin that nobody can have: all in the block the regulator keeps for films. */
const numberOf = (index: number): PhoneNumber => PhoneNumber.parse(`+4930${23_125_000 + index}`);

export async function deviceContext(url: string, token?: string): Promise<DeviceContext> {
  const provider = await nodeProvider();
  return {
    connection: connectToRelay({ url, ...(token === undefined ? {} : { token }) }),
    store: createMemoryStore(),
    engine: createEngine(provider),
    provider,
    environment: nodeEnvironment,
  };
}

async function register({ url, smsInbox }: Where, number: PhoneNumber): Promise<Registered> {
  const context = await deviceContext(url);
  const store = createMemoryStore();
  const device = { ...context, store };
  must(await startRegistration(device, { number }), 'code-sent');
  const response = await fetch(`${smsInbox}?number=${encodeURIComponent(number)}`);
  const texts: { text: string }[] = JSON.parse(await response.text());
  const code = /\b\d{6}\b/.exec(texts[0]?.text ?? '')?.[0] ?? '';
  must(await proveNumber(device, code), 'verified');
  must(await finishRegistration(device), 'registered');
  await context.connection.close();
  return { number, store };
}

/** As many as wanted, or as many as the time allows. */
export async function registerMany(
  where: Where,
  { count, secondsMax }: { readonly count: number; readonly secondsMax: number },
): Promise<Registered[]> {
  const until = performance.now() + secondsMax * 1000;
  const all: Registered[] = [];
  let next = 0;
  const registerSome = async () => {
    while (next < count && performance.now() < until) {
      next += 1;
      all.push(await register(where, numberOf(next)));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, registerSome));
  return all;
}
