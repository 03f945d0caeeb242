// The operator's certificates for the numbers of a business: issued when its key is known, renewed before they end (N3).

import { type SigningKey, signBusinessCertificate } from '@siegel/crypto/verify';
import type { Queryable } from '@siegel/database';
import type { BusinessCertificate } from '@siegel/protocol/relay';
import { profileOf } from './business-profile.ts';
import {
  type BusinessNumberRow,
  type BusinessRow,
  readCertificates,
  writeCertificate,
} from './business-store.ts';

export type CertificatePorts = {
  readonly now: () => number;
  readonly issuer: string;
  readonly signingKey: SigningKey;
};

const lifetimeDays = 365;
const renewalDays = 30;
const dayMs = 86_400_000;

export type Certified = {
  readonly business: BusinessRow;
  readonly numbers: readonly BusinessNumberRow[];
  /** base64url */
  readonly accountKey: string;
};

/** One for each number, in the order of the numbers; replaces those before. */
export async function issueCertificates(
  ports: CertificatePorts,
  queries: Queryable,
  certified: Certified,
): Promise<string[]> {
  const { business, numbers } = certified;
  const issued: string[] = [];
  for (const [index, one] of profileOf(business, numbers).numbers.entries()) {
    const iat = Math.floor(ports.now() / 1000);
    const exp = iat + (lifetimeDays * dayMs) / 1000;
    const body: BusinessCertificate = {
      ...{ v: 1, iss: ports.issuer, sub: business.account_id, iat, exp },
      cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: certified.accountKey } },
      legalName: business.legal_name,
      displayName: one.displayName,
      number: one.number,
      phoneNumberId: one.phoneNumberId,
      country: business.country,
      ...(business.register_entry === null ? {} : { registerEntry: business.register_entry }),
      ...(business.domain === null ? {} : { domain: business.domain }),
      evidence: business.evidence,
      level: business.level,
      keysHostedBy: business.keys_hosted_by ?? '',
    };
    const certificate = await signBusinessCertificate(body, ports.signingKey);
    await writeCertificate(queries, business.account_id, {
      phone_number_id: numbers[index]?.phone_number_id ?? 0,
      certificate,
      expires_at: exp * 1000,
    });
    issued.push(certificate);
  }
  return issued;
}

/** The ones in force; all anew when one of them ends within a month. */
export async function currentCertificates(
  ports: CertificatePorts,
  queries: Queryable,
  certified: Certified,
): Promise<string[]> {
  const rows = await readCertificates(queries, certified.business.account_id);
  const soon = ports.now() + renewalDays * dayMs;
  const allLive = certified.numbers.every((number) =>
    rows.some((row) => row.phone_number_id === number.phone_number_id && row.expires_at > soon),
  );
  if (!allLive) return issueCertificates(ports, queries, certified);
  return rows.map((row) => row.certificate);
}
