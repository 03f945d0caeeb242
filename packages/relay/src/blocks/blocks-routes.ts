// Binds the endpoints of blocks to their rules.

import { block, listBlocks, unblock } from '@siegel/protocol/relay';
import type { BasePorts } from '../base-ports.ts';
import { type Route, route } from '../http/route.ts';
import { blockAccount, readBlocks, unblockAccount } from './blocks-rules.ts';

export const blocksRoutes = (ports: BasePorts): readonly Route[] => [
  route(block, blockAccount(ports)),
  route(unblock, unblockAccount(ports)),
  route(listBlocks, readBlocks(ports)),
];
