// Brings one firm from nothing to serving, from wherever an earlier start was cut off: registered,
// enrolled, templates approved.
import { SiegelError } from '@siegel/protocol/errors';
import type { TownFirm } from './demo-firms.ts';
import { findRegistered } from './find-registered.ts';
import { createTemplate, type GraphAccess, listTemplates } from './graph-client.ts';
import type { Operator } from './operator.ts';
import type { FirmState } from './town-state.ts';

/** Registers a firm the home does not know yet; the answer is to be written down at once. */
export async function registerFirm(
  operator: Operator,
  { firm }: TownFirm,
  known: { readonly state: FirmState; readonly relayDatabaseUrl: string },
): Promise<FirmState> {
  const { state, relayDatabaseUrl } = known;
  if (state.accountId !== undefined) return state;
  const registered =
    (await operator.register(firm)) ?? (await findRegistered(relayDatabaseUrl, firm));
  if (registered !== undefined) return { ...state, ...registered };
  throw new SiegelError(
    'state-conflict',
    `${firm.number}, the number of ${firm.displayName}, belongs to somebody else at this relay.`,
  );
}

/** The code to enrol with; undefined when the gateway has done so already. */
export async function codeFor(operator: Operator, state: FirmState): Promise<string | undefined> {
  if (state.enrolled || state.accountId === undefined) return undefined;
  // An earlier start may have used the code up: a fresh one is issued unless it did.
  return operator.freshCode(state.accountId);
}

const keyOf = (template: { readonly name: string; readonly language: string }): string =>
  `${template.name} ${template.language}`;

/** Submits what the gateway does not list yet and approves what waits. */
export async function settleTemplates(
  operator: Operator,
  access: GraphAccess,
  { wabaId, templates }: { readonly wabaId: string; readonly templates: TownFirm['templates'] },
): Promise<void> {
  const listed = new Map((await listTemplates(access, wabaId)).map((one) => [keyOf(one), one]));
  for (const template of templates) {
    const known = listed.get(keyOf(template));
    const { id, status } = known ?? (await createTemplate(access, wabaId, template));
    if (status === 'PENDING') await operator.approve(id);
  }
}
