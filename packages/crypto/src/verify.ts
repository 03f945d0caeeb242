// Entry point for whoever must not be able to read: signatures, the operator's own statements, key
// packages from the outside, relay tags and reports. Nothing below this file opens or seals
// content; a tool checks it.

export { signDeviceList, verifyDeviceList } from './device-list.ts';
export {
  type Report,
  type ReportOutcome,
  verifyCommitment,
  verifyReport,
} from './franking.ts';
export { inspectKeyPackage, type KeyPackageInspection } from './key-package.ts';
export {
  signLeafCertificate,
  unsafeReadLeafCertificate,
  verifyLeafCertificate,
} from './leaf-certificate.ts';
export {
  signBusinessCertificate,
  signNumberStatement,
  verifyBusinessCertificate,
  verifyNumberStatement,
} from './operator-statements.ts';
export { makeRelayTag, type Tagged, type TagKey, verifyRelayTag } from './relay-tag.ts';
export {
  type AccountKey,
  createAccountKey,
  createSigningKey,
  exportSigningKey,
  importSigningKey,
  type SigningKey,
} from './signing-key.ts';
export {
  type IssuerTrust,
  type StatementKind,
  type StatementRefusal,
  signStatement,
  type Verified,
  verifyIssued,
  verifySelfSigned,
} from './statement.ts';
export {
  signTemplate,
  signTemplateApproval,
  templateHash,
  type VerifiedTemplate,
  verifyTemplate,
  verifyTemplateApproval,
} from './template-statements.ts';
