// The operator's side of the town: registers firms, issues enrolment codes and approves the demo
// firms' own templates.

import type { DemoFirm } from '@siegel/bot';
import { connectToRelay } from '@siegel/client/node';
import { SiegelError } from '@siegel/protocol/errors';
import { AccountId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import { decideTemplate, issueEnrolmentCode, registerBusiness } from '@siegel/protocol/relay';

export type RegisteredFirm = {
  readonly accountId: string;
  readonly wabaId: string;
  readonly phoneNumberId: string;
};

export type Operator = {
  /** Undefined when the number is taken. */
  register(firm: DemoFirm): Promise<RegisteredFirm | undefined>;
  /** Undefined when the firm is enrolled already. */
  freshCode(accountId: string): Promise<string | undefined>;
  approve(templateId: string): Promise<void>;
  close(): Promise<void>;
};

export function connectOperator(relayUrl: string, operatorToken: string): Operator {
  const relay = connectToRelay({ url: relayUrl, token: operatorToken });
  return {
    async register(firm) {
      const answer = await relay.call(registerBusiness, {
        legalName: firm.legalName,
        country: firm.country,
        registerEntry: firm.registerEntry,
        domain: firm.domain,
        evidence: 'demo',
        level: firm.level,
        numbers: [{ number: PhoneNumber.parse(firm.number), displayName: firm.displayName }],
      });
      if (answer.outcome === 'number-taken') return undefined;
      const [number] = answer.business.numbers;
      if (number === undefined) throw new SiegelError('relay-refused', 'A firm without a number.');
      return {
        accountId: answer.business.accountId,
        wabaId: number.wabaId,
        phoneNumberId: number.phoneNumberId,
      };
    },
    async freshCode(accountId) {
      const answer = await relay.call(issueEnrolmentCode, {
        accountId: AccountId.parse(accountId),
      });
      if (answer.outcome === 'issued') return answer.enrolmentCode;
      if (answer.outcome === 'already-enrolled') return undefined;
      throw new SiegelError('state-conflict', 'The relay does not know a firm of this home.');
    },
    async approve(templateId) {
      const answer = await relay.call(decideTemplate, {
        templateId: NumericId.parse(templateId),
        decision: 'approve',
      });
      if (answer.outcome !== 'decided') {
        throw new SiegelError('state-conflict', `Template ${templateId}: ${answer.outcome}.`);
      }
    },
    close: () => relay.close(),
  };
}
