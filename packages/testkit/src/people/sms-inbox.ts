// Reads the code a town sent by SMS, as a person would from the phone.
import { SiegelError } from '@siegel/protocol/errors';
import * as z from 'zod/mini';

const Inbox = z.array(z.object({ to: z.string(), text: z.string(), at: z.number() }));

const attemptsMax = 40;
const pauseMs = 50;
const requestTimeoutMs = 5_000;

async function readInbox(smsInbox: string, number: string): Promise<z.infer<typeof Inbox>> {
  const response = await fetch(`${smsInbox}?number=${encodeURIComponent(number)}`, {
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  if (!response.ok) throw new SiegelError('not-found', 'There is no SMS inbox at this address.');
  return Inbox.parse(await response.json());
}

/** How many texts came so far: to tell a new code from an old one. */
export const countTexts = async (smsInbox: string, number: string): Promise<number> =>
  (await readInbox(smsInbox, number)).length;

/** The code of the newest text, once there are more than `before`. */
export async function readCode(smsInbox: string, number: string, before: number): Promise<string> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const texts = await readInbox(smsInbox, number);
    // Newest first (design §9).
    const code = texts.length > before ? /\b\d{6}\b/.exec(texts[0]!.text)?.[0] : undefined;
    if (code !== undefined) return code;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new SiegelError('not-found', 'No code came.');
}
