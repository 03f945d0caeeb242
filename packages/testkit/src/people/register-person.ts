// Makes a store into an account: number, code, keys. Goes on from wherever an earlier try was cut
// off.
import {
  finishRegistration,
  type Identity,
  proveNumber,
  readIdentity,
  type Store,
  startRegistration,
} from '@siegel/client';
import { openNodeDevice } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import type { PhoneNumber } from '@siegel/protocol/ids';

export type PersonRegistration = {
  readonly relay: string;
  readonly store: Store<undefined>;
  readonly number: PhoneNumber;
  /** Called once the code is on its way. */
  readonly readCode: () => Promise<string>;
  readonly language?: 'de' | 'en';
  /** asked for when the number already has an account with a PIN */
  readonly pin?: string;
  readonly newPin?: string;
};

const refused = (step: string, outcome: string): SiegelError =>
  new SiegelError('relay-refused', `${step}: ${outcome}.`);

/** Answers the identity the store holds; registers it first when there is none. */
export async function registerPerson(registration: PersonRegistration): Promise<Identity> {
  const { relay, store, number, language, pin, newPin } = registration;
  const known = await readIdentity(store);
  if (known !== undefined) return known;
  const context = await openNodeDevice({ url: relay, store });
  try {
    const sent = await startRegistration(context, {
      number,
      ...(language === undefined ? {} : { language }),
    });
    if (sent.outcome !== 'code-sent') throw refused('code', sent.outcome);
    const proven = await proveNumber(context, await registration.readCode());
    if (proven.outcome !== 'verified') throw refused('number', proven.outcome);
    const registered = await finishRegistration(context, {
      ...(pin === undefined ? {} : { pin }),
      ...(newPin === undefined ? {} : { newPin }),
    });
    if (registered.outcome !== 'registered') throw refused('account', registered.outcome);
    return registered.identity;
  } finally {
    await context.connection.close();
  }
}
