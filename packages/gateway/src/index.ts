// The gateway's entry: enrol once, then start.

export { assembleGateway, type Gateway, type GatewayParts } from './assemble-gateway.ts';
export { type GatewayConfig, readConfig } from './config.ts';
