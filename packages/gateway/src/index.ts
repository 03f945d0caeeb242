// The gateway's entry: enrol once, then start.

export type { Gateway } from './assemble-gateway.ts';
export { type GatewayConfig, readConfig } from './config.ts';
export { type EnrolledGateway, enrolGateway } from './enrol-gateway.ts';
export { startGateway } from './start-gateway.ts';
