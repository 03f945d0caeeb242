// What an open account does beside messages: key packages, certificate, own device list, the conversation of its devices.

import { resumeDeviceList } from './device-list.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';
import type { Cancel } from './environment.ts';
import { keepKeyPackages, renewLastResort } from './key-packages.ts';
import { renewCertificates } from './own-certificates.ts';
import { openOwnConversation } from './own-devices.ts';
import type { MailboxEvent } from './relay-connection.ts';

export type Upkeep = {
  start(): void;
  onEvent(event: MailboxEvent): void;
  lastResortUsed(): void;
  stop(): void;
};

export function createUpkeep(context: EngineContext): Upkeep {
  let cancel: Cancel | undefined;
  /** One duty after the other; a failed one is reported and done at the next round. */
  const duty = (run: () => Promise<unknown>) => {
    void context.lanes.enter('upkeep', run).catch((error: unknown) => {
      if (!context.closing.aborted) context.report(error);
    });
  };
  const round = () => {
    cancel = context.environment.schedule(round, engineLimits.upkeepMs);
    duty(() => renewCertificates(context));
    duty(() => resumeDeviceList(context, context.identity));
    duty(() => keepKeyPackages(context, context.identity));
    duty(() => openOwnConversation(context));
  };
  return {
    start: round,
    onEvent(event) {
      if (event.type === 'key-packages-low') {
        duty(() => keepKeyPackages(context, context.identity, event.left));
      }
      if (event.type === 'devices-changed' && event.accountId === context.identity.accountId) {
        duty(() => openOwnConversation(context));
      }
    },
    lastResortUsed: () => duty(() => renewLastResort(context, context.identity)),
    stop: () => cancel?.(),
  };
}
