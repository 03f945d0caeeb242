// What the operator signs: a number belongs to an account key, a number belongs to a certified
// business. It never signs devices, so it cannot add one (design §3).

import { BusinessCertificate, NumberStatement, statementTypes } from '@siegel/protocol/relay';
import type { SigningKey } from './signing-key.ts';
import {
  type IssuerTrust,
  type StatementKind,
  signStatement,
  type Verified,
  verifyIssued,
} from './statement.ts';

const numberStatement: StatementKind<NumberStatement> = {
  type: statementTypes.numberStatement,
  schema: NumberStatement,
};

export const signNumberStatement = (
  statement: NumberStatement,
  operatorKey: SigningKey,
): Promise<string> => signStatement(numberStatement, statement, operatorKey);

export const verifyNumberStatement = (
  jws: string,
  trust: IssuerTrust,
): Promise<Verified<NumberStatement>> => verifyIssued(numberStatement, jws, trust);

const businessCertificate: StatementKind<BusinessCertificate> = {
  type: statementTypes.businessCertificate,
  schema: BusinessCertificate,
};

export const signBusinessCertificate = (
  certificate: BusinessCertificate,
  operatorKey: SigningKey,
): Promise<string> => signStatement(businessCertificate, certificate, operatorKey);

export const verifyBusinessCertificate = (
  jws: string,
  trust: IssuerTrust,
): Promise<Verified<BusinessCertificate>> => verifyIssued(businessCertificate, jws, trust);
