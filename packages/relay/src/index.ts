// What the command line, the town and the tests may use of the relay.

export { type Sms, type SmsSender } from './accounts/sms.ts';
export { checkConfig, type RelayConfig, type RelayOptions, readConfig } from './config.ts';
export { type Relay, type RelayWorld, startRelay } from './main.ts';
