// A firm's gateway as a process of the town. With an enrolment code it makes the business key
// first.
import { enrolGateway, type GatewayConfig, startGateway } from '@siegel/gateway';
import { serveChild } from './serve-child.ts';

export type GatewayChildConfig = {
  readonly gateway: GatewayConfig;
  readonly enrolmentCode?: string;
};

serveChild(async (given) => {
  // The supervisor's own words, sent over IPC.
  const { gateway, enrolmentCode } = given as GatewayChildConfig;
  if (enrolmentCode !== undefined) await enrolGateway(gateway, enrolmentCode);
  return startGateway(gateway);
});
