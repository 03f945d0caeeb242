// The setting of the stories: a town with one airline and no bot, a webhook endpoint of the airline's own, and people.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIdentity } from '@siegel/client';
import { connectToRelay, createMemoryStore, nodeEnvironment } from '@siegel/client/node';
import {
  type Person,
  person,
  startTown,
  type Town,
  type TownBusiness,
  type WebhookSink,
  webhookSink,
} from '@siegel/testkit';

/** A person, and its device's own line to the relay for looking behind the account. */
export type Passenger = Person & { readonly relay: ReturnType<typeof connectToRelay> };

export type AirlineTown = {
  readonly town: Town;
  readonly firm: TownBusiness;
  /** what the airline's system receives */
  readonly sink: WebhookSink;
  /** registered under a number nobody used before */
  newcomer(): Promise<Passenger>;
  /** a number that nobody has */
  freeNumber(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** As an integrator does: the airline gives an address of its own for its events and is asked to prove it. */
async function subscribe(firm: TownBusiness, sink: WebhookSink): Promise<void> {
  const response = await fetch(`${firm.cloudApi}/v25.0/${firm.wabaId}/subscribed_apps`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${firm.accessToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ override_callback_uri: sink.url, verify_token: sink.verifyToken }),
    signal: AbortSignal.timeout(15_000),
  });
  if (!response.ok) throw new Error(`subscribed_apps answered ${response.status}`);
}

function createNumbers(): () => string {
  let last = 1000;
  return () => {
    last += 1;
    return `+491555000${last}`;
  };
}

export async function airlineTown(): Promise<AirlineTown> {
  const home = mkdtempSync(join(tmpdir(), 'siegel-journey-'));
  const town = await startTown(
    {
      home,
      port: 0,
      host: '127.0.0.1',
      behindProxy: false,
      firms: ['nordwind-air'],
      bots: false,
    },
    { random: randomBytes },
  );
  const firm = town.file.businesses[0]!;
  const sink = await webhookSink({
    appSecret: firm.appSecret,
    verifyToken: firm.verifyToken,
    now: nodeEnvironment.now,
  });
  const freeNumber = createNumbers();
  const people: Passenger[] = [];
  const dispose = async () => {
    for (const one of people) {
      await one.close();
      await one.relay.close();
    }
    await sink[Symbol.asyncDispose]();
    await town.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const newcomer = async () => {
    const { relay, smsInbox } = town.file;
    const store = createMemoryStore();
    const one = await person({ relay, smsInbox, number: freeNumber(), store });
    const { deviceToken: token } = (await readIdentity(store))!;
    const passenger = { ...one, relay: connectToRelay({ url: relay, token }) };
    people.push(passenger);
    return passenger;
  };
  try {
    await subscribe(firm, sink);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { town, firm, sink, newcomer, freeNumber, [Symbol.asyncDispose]: dispose };
}
