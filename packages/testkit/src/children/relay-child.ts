// The relay as a process of the town.
import { type RelayOptions, startRelay } from '@siegel/relay';
import { serveChild } from './serve-child.ts';

// The relay checks its configuration itself and refuses what it cannot use.
serveChild((config) => startRelay(config as RelayOptions));
