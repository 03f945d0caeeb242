// `/{waba}/subscribed_apps`: whether this app gets a WABA's events, and an address of the WABA's own for them.

import type { GatewayContext } from '../gateway-context.ts';
import type { Access } from '../tokens.ts';
import {
  callbackAt,
  isSubscribed,
  removeCallback,
  setCallback,
  shakeHands,
  subscribe,
  unsubscribe,
} from '../webhooks/callbacks.ts';
import { type Answer, refuse, success } from './answer.ts';
import { ownWaba, queryText } from './authorise.ts';

export async function getSubscribedApps(
  context: GatewayContext,
  access: Access,
  wabaId: string,
): Promise<Answer> {
  const waba = ownWaba(context, access, wabaId);
  if ('refusal' in waba) return waba;
  const { database, app } = context;
  if (!(await isSubscribed(database, wabaId))) return { body: { data: [] } };
  const override = await callbackAt(database, { scope: 'waba', id: wabaId });
  return {
    body: {
      data: [
        {
          whatsapp_business_api_data: { id: app.appId, name: app.appName, link: '' },
          ...(override === undefined ? {} : { override_callback_uri: override }),
        },
      ],
    },
  };
}

/** Without a body: subscribes, and clears an address set before. */
export async function postSubscribedApps(
  context: GatewayContext,
  access: Access,
  asked: { wabaId: string; body: unknown; query: unknown },
): Promise<Answer> {
  const waba = ownWaba(context, access, asked.wabaId);
  if ('refusal' in waba) return waba;
  const given = { ...(asked.query as object), ...(asked.body as object | null) };
  const url = queryText(given, 'override_callback_uri');
  const verifyToken = queryText(given, 'verify_token');
  const at = { scope: 'waba', id: asked.wabaId } as const;
  const { database, outgoing, clock } = context;
  if (url === undefined || url === '') {
    await removeCallback(database, at);
  } else {
    if (verifyToken === undefined || verifyToken === '') {
      return refuse(100, 'verify_token is required beside override_callback_uri.');
    }
    if (url.length > 2000 || verifyToken.length > 1000 || /\0/.test(url + verifyToken)) {
      return refuse(100, 'The URL or the token is not usable.');
    }
    const shaken = await shakeHands(outgoing, { url, verifyToken });
    if (shaken.outcome === 'refused') {
      return refuse(100, `Callback verification failed: ${shaken.why}.`);
    }
    await setCallback(database, at, { url, verifyToken }, clock.now());
  }
  await subscribe(database, asked.wabaId);
  return success;
}

export async function deleteSubscribedApps(
  context: GatewayContext,
  access: Access,
  wabaId: string,
): Promise<Answer> {
  const waba = ownWaba(context, access, wabaId);
  if ('refusal' in waba) return waba;
  await unsubscribe(context.database, wabaId);
  await removeCallback(context.database, { scope: 'waba', id: wabaId });
  return success;
}
