// The SDK's entry: an account on one device, how it comes to be, its types and its store port.
// Platforms are chosen by ./node and ./browser.

export * from './account.ts';
export * from './account-api.ts';
export * from './attachments.ts';
export * from './device-context.ts';
export * from './device-linking.ts';
export {
  fetchOwnList,
  judgeDeviceList,
  type ListJudgement,
  type ListPublished,
  type OwnList,
  type PinnedList,
  readOwnDeviceList,
  removeDevice,
  renewOwnCertificate,
  resumeDeviceList,
} from './device-list.ts';
export * from './engine-lock.ts';
export * from './enrolment.ts';
export * from './environment.ts';
export { type DeviceRole, type Identity, readIdentity } from './identity.ts';
export { type KeyPackagesKept, keepKeyPackages, renewLastResort } from './key-packages.ts';
export * from './link-joining.ts';
export * from './operator.ts';
export {
  abandonRegistration,
  finishRegistration,
  type NumberProven,
  proveNumber,
  type Registered,
  type RegistrationFinish,
  type RegistrationStage,
  registrationStage,
  startRegistration,
} from './registration.ts';
export * from './relay-connection.ts';
export * from './render-template.ts';
export { isolated, safeFilename, safeLine, safeText } from './safe-text.ts';
export * from './store.ts';
export * from './templates.ts';
