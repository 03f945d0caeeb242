// Statements: each verifies as what it is and as nothing else, and every refusal has its name.

import { AccountId, DeviceId, NumericId, PhoneNumber } from '@siegel/protocol/ids';
import {
  type BusinessCertificate,
  canonicalTemplate,
  type DeviceList,
  type LeafCertificate,
  type NumberStatement,
  statementTypes,
  type TemplateApproval,
  TemplateObject,
} from '@siegel/protocol/relay';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { toBase64Url, utf8 } from './bytes.ts';
import { privateCryptoKey } from './signing-key.ts';
import { signBytes } from './statement.ts';
import * as verify from './verify.ts';

const accountKey = await verify.createAccountKey();
const otherKey = await verify.createAccountKey();
const operatorKey = await verify.createSigningKey();
const key = toBase64Url(accountKey.publicKey);
const issuerKey = toBase64Url(operatorKey.publicKey);
const issuerKeys = [issuerKey];
const sub = AccountId.parse('00000000-0000-4000-8000-000000000001');
const now = 1_800_000_000;
const leaf = toBase64Url(otherKey.publicKey);

const certificate: LeafCertificate = {
  v: 1,
  sub,
  key,
  dev: DeviceId.parse(1),
  leaf,
  iat: now,
  exp: now + 100,
};
const main: DeviceList['devices'][number] = {
  id: DeviceId.parse(1),
  leaf,
  role: 'main',
  added: now,
};
const list: DeviceList = {
  v: 1,
  sub,
  key,
  version: 7,
  next: DeviceId.parse(3),
  devices: [main],
  iat: now,
};
const number = PhoneNumber.parse('+4930123456');
const numberStatement: NumberStatement = {
  v: 1,
  iss: 'https://relay.example',
  sub,
  key,
  number,
  iat: now,
  exp: now + 100,
};
const businessCertificate: BusinessCertificate = {
  v: 1,
  iss: 'https://relay.example',
  sub,
  cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: key } },
  legalName: 'Bäckerei Krume GmbH',
  displayName: 'Krume',
  number,
  phoneNumberId: NumericId.parse('1001'),
  country: 'DE',
  evidence: 'register-extract',
  level: 'badge',
  keysHostedBy: 'Bäckerei Krume GmbH',
  iat: now,
  exp: now + 100,
};
const template = TemplateObject.parse({
  v: 1,
  business: sub,
  wabaId: '12',
  name: 'order_ready',
  language: 'de',
  category: 'utility',
  parameterFormat: 'positional',
  components: { body: { text: 'Fertig: Brötchen', parameters: [] }, buttons: [] },
});
const approval: TemplateApproval = {
  v: 1,
  iss: 'https://relay.example',
  template: NumericId.parse('5'),
  version: 1,
  hash: verify.templateHash(utf8(canonicalTemplate(template))),
  category: 'utility',
  iat: now,
};

/** Another signature of the same length. */
const flip = (text: string): string =>
  text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`;

describe('a leaf certificate', () => {
  it('is valid with the account key it names, and expires only for who asks', async () => {
    const jws = await verify.signLeafCertificate(certificate, accountKey);
    expect(await verify.verifyLeafCertificate(jws)).toEqual({
      outcome: 'valid',
      statement: certificate,
    });
    const options = { expectedKey: key, now: now + 99 };
    expect(await verify.verifyLeafCertificate(jws, options)).toMatchObject({ outcome: 'valid' });
    expect(await verify.verifyLeafCertificate(jws, { now: now + 100 })).toEqual({
      outcome: 'expired',
    });
    expect(await verify.verifyLeafCertificate(jws, { expectedKey: leaf })).toEqual({
      outcome: 'wrong-key',
    });
  });

  it('is not what another key says in its name', async () => {
    const jws = await verify.signLeafCertificate(certificate, otherKey);
    expect(await verify.verifyLeafCertificate(jws)).toEqual({ outcome: 'wrong-key' });
  });

  it('is refused when signature, payload, header or size are not right', async () => {
    const jws = await verify.signLeafCertificate({ ...certificate, iat: now - 1 }, accountKey);
    const [header = '', payload = '', signature = ''] = jws.split('.');
    expect(await verify.verifyLeafCertificate(`${header}.${payload}.${flip(signature)}`)).toEqual({
      outcome: 'signature-invalid',
    });
    const changed = toBase64Url(utf8(JSON.stringify({ ...certificate, dev: 2 })));
    expect(await verify.verifyLeafCertificate(`${header}.${changed}.${signature}`)).toEqual({
      outcome: 'signature-invalid',
    });
    const none = toBase64Url(
      utf8(JSON.stringify({ alg: 'none', typ: statementTypes.leafCertificate, kid: key })),
    );
    const malformed = [
      '',
      'a.b',
      `${header}.${payload}.`,
      `${header}.${payload}.${signature}.x`,
      `${header}.!!.${signature}`,
      `${none}.${payload}.${signature}`,
      `${header}.${payload}.${signature}`.padEnd(9000, 'A'),
    ];
    for (const bad of malformed) {
      const { outcome } = await verify.verifyLeafCertificate(bad);
      expect(outcome, bad.slice(0, 40)).toMatch(/^(malformed|wrong-type)$/);
    }
  });

  it('cannot be signed when it is not one', async () => {
    const wrong = { ...certificate, dev: DeviceId.parse(1), exp: -1 };
    await expect(verify.signLeafCertificate(wrong, accountKey)).rejects.toThrow();
  });
});

describe('a device list', () => {
  it('is valid, and refused when older than what was seen', async () => {
    const jws = await verify.signDeviceList(list, accountKey);
    const options = { expectedKey: key, minimumVersion: 7 };
    expect(await verify.verifyDeviceList(jws, options)).toEqual({
      outcome: 'valid',
      statement: list,
    });
    expect(await verify.verifyDeviceList(jws, { minimumVersion: 8 })).toEqual({
      outcome: 'version-too-old',
    });
    expect(await verify.verifyDeviceList(jws, { expectedKey: leaf })).toEqual({
      outcome: 'wrong-key',
    });
  });

  it('is refused when it names a device twice, or one that is still to come', async () => {
    const twins = [main, { ...main, id: DeviceId.parse(2) }];
    const wrong: Partial<DeviceList>[] = [
      { devices: twins },
      { devices: [main, { ...main, leaf: key }] },
      { next: DeviceId.parse(1) },
    ];
    for (const change of wrong) {
      const jws = await verify.signDeviceList({ ...list, ...change }, accountKey);
      expect(await verify.verifyDeviceList(jws)).toEqual({ outcome: 'malformed' });
    }
  });
});

describe('the operator’s statements', () => {
  it('are believed from pinned keys, until they expire', async () => {
    const signedNumber = await verify.signNumberStatement(numberStatement, operatorKey);
    const signedBusiness = await verify.signBusinessCertificate(businessCertificate, operatorKey);
    const trust = { issuerKeys, now };
    expect(await verify.verifyNumberStatement(signedNumber, trust)).toMatchObject({
      outcome: 'valid',
      statement: numberStatement,
    });
    expect(await verify.verifyBusinessCertificate(signedBusiness, trust)).toMatchObject({
      outcome: 'valid',
      statement: businessCertificate,
    });
    const late = { issuerKeys, now: now + 100 };
    expect(await verify.verifyNumberStatement(signedNumber, late)).toEqual({ outcome: 'expired' });
    const others = { issuerKeys: [key], now };
    expect(await verify.verifyBusinessCertificate(signedBusiness, others)).toEqual({
      outcome: 'wrong-key',
    });
  });

  it('of one type are never taken for another', async () => {
    const trust = { issuerKeys, now };
    const number = await verify.signNumberStatement(numberStatement, operatorKey);
    expect(await verify.verifyBusinessCertificate(number, trust)).toEqual({
      outcome: 'wrong-type',
    });
    expect(await verify.verifyLeafCertificate(number)).toEqual({ outcome: 'wrong-type' });
    const disguised = await signBytes(
      statementTypes.businessCertificate,
      utf8(JSON.stringify(numberStatement)),
      operatorKey,
    );
    expect(await verify.verifyBusinessCertificate(disguised, trust)).toEqual({
      outcome: 'malformed',
    });
  });

  it('are refused as plain JWTs without our type', async () => {
    const jwt = await new SignJWT({ ...numberStatement })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: issuerKey })
      .sign(await privateCryptoKey(operatorKey));
    expect(await verify.verifyNumberStatement(jwt, { issuerKeys, now })).toEqual({
      outcome: 'wrong-type',
    });
  });
});

describe('a template', () => {
  const canonical = utf8(canonicalTemplate(template));

  it('is signed by the business over its canonical octets', async () => {
    const jws = await verify.signTemplate(canonical, accountKey);
    expect(await verify.verifyTemplate(jws, { expectedKey: key })).toEqual({
      outcome: 'valid',
      template,
      hash: approval.hash,
      key,
    });
    expect(await verify.verifyTemplate(jws, { expectedKey: leaf })).toEqual({
      outcome: 'wrong-key',
    });
  });

  it('in another spelling, or with another field, is refused', async () => {
    const spelt = utf8(JSON.stringify(template, null, 1));
    const more = utf8(JSON.stringify({ ...template, extra: 1 }));
    for (const payload of [spelt, more, utf8('[]')]) {
      const jws = await verify.signTemplate(payload, accountKey);
      expect(await verify.verifyTemplate(jws, { expectedKey: key })).toEqual({
        outcome: 'malformed',
      });
    }
  });

  it('is approved by its hash', async () => {
    const jws = await verify.signTemplateApproval(approval, operatorKey);
    expect(await verify.verifyTemplateApproval(jws, issuerKeys)).toMatchObject({
      outcome: 'valid',
      statement: approval,
    });
    expect(await verify.verifyTemplateApproval(jws, [key])).toEqual({ outcome: 'wrong-key' });
  });
});

describe('a signing key', () => {
  it('comes back from its stored form, and a damaged one is refused', async () => {
    const stored = verify.exportSigningKey(accountKey);
    expect(await verify.importSigningKey(stored)).toEqual(accountKey);
    const mixed = verify.exportSigningKey({ ...accountKey, publicKey: otherKey.publicKey });
    const stateCorrupt = { code: 'state-corrupt' };
    for (const bad of [mixed, stored.subarray(1), Uint8Array.of(2, ...stored.subarray(1))]) {
      await expect(verify.importSigningKey(bad)).rejects.toMatchObject(stateCorrupt);
    }
  });
});
