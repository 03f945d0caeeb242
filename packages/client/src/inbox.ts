// The way in: items in the order of the mailbox, several conversations at a time, acknowledged only up to where everything
// is stored.

import type { DeliveredItem } from '@siegel/protocol/relay';
import { takeItem } from './conversations/take-item.ts';
import type { EngineContext } from './engine-context.ts';
import { engineLimits } from './engine-limits.ts';

/**
 * Answers the position up to which all is stored. When one item fails, for instance because the handler threw, the whole
 * frame comes again; what was stored of it is then recognised.
 */
export async function takeItems(
  context: EngineContext,
  items: readonly DeliveredItem[],
): Promise<number | undefined> {
  const byConversation = new Map<string, DeliveredItem[]>();
  for (const item of items) {
    const group = byConversation.get(item.conversationId) ?? [];
    group.push(item);
    byConversation.set(item.conversationId, group);
  }
  const groups = [...byConversation.values()];
  const failures: unknown[] = [];
  const takeGroups = async () => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      try {
        for (const item of group) await takeItem(context, item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const parallel = engineLimits.conversationsInParallel[context.identity.kind];
  await Promise.all(Array.from({ length: Math.min(parallel, groups.length) }, takeGroups));
  const [failure] = failures;
  if (failure !== undefined) {
    context.report(failure);
    throw failure;
  }
  return items.at(-1)?.position;
}
