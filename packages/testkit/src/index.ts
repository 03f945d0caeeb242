// What journeys, benches, bots' journeys and the command line may use of the testkit.
export { canaryForms, findCanary } from './network/canary.ts';
export {
  type FaultCounts,
  type FaultProxy,
  type Faults,
  faultProxy,
  noFaults,
} from './network/fault-proxy.ts';
export { seededRandom } from './network/seeded-random.ts';
export { type CapturedConnection, type TcpCapture, tcpCapture } from './network/tcp-capture.ts';
export {
  type RecordedWebhook,
  type WebhookSink,
  type WebhookSinkOptions,
  webhookSink,
} from './network/webhook-sink.ts';
export { choiceBody, type Offer, offersOf } from './people/choices.ts';
export { type CertificateQuestion, fetchCertificate } from './people/fetch-certificate.ts';
export { openJournalStore } from './people/journal-store.ts';
export { type Person, type PersonOptions, person } from './people/person.ts';
export { type PersonProcess, personProcess } from './people/person-process.ts';
export type { PersonConfig } from './people/person-protocol.ts';
export { type PersonRegistration, registerPerson } from './people/register-person.ts';
export { countTexts, readCode } from './people/sms-inbox.ts';
export { demoFirms, type TownFirm } from './town/demo-firms.ts';
export {
  startTown,
  type Town,
  type TownDatabaseUrls,
  type TownEvent,
  type TownWorld,
} from './town/start-town.ts';
export type { TownBusiness, TownFile } from './town/town-file.ts';
export { checkTownOptions, readTownOptions, type TownOptions } from './town/town-options.ts';
