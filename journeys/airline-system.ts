// The airline's own system: two client libraries from npm that nobody here wrote, unchanged, behind one face.
import { WhatsAppClient } from '@kapso/whatsapp-cloud-api';
import type { TownBusiness } from '@siegel/testkit';
import { WhatsAppAPI } from 'whatsapp-api-js';
import {
  BodyComponent,
  BodyParameter,
  Image,
  Language,
  Template,
  Text,
} from 'whatsapp-api-js/messages';

/** What a client was told about a message it sent. */
export type Accepted = {
  readonly wamid: string;
  readonly waId: string | undefined;
  readonly userId: string | undefined;
};

export type FlightUpdate = {
  readonly to: string;
  readonly flight: string;
  readonly time: string;
  readonly gate: string;
};

export type Picture = { readonly to: string; readonly caption: string } & (
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly link: string }
);

export interface AirlineSystem {
  readonly library: string;
  /** the template of that name, in German, its parameters by position */
  sendFlightUpdate(update: FlightUpdate): Promise<Accepted>;
  sendText(to: string, text: string): Promise<Accepted>;
  /** to somebody whose number the firm does not know */
  sendTextToUser(userId: string, text: string): Promise<Accepted>;
  sendPicture(picture: Picture): Promise<Accepted>;
  markRead(wamid: string): Promise<void>;
}

export function kapsoClient(firm: TownBusiness): WhatsAppClient {
  return new WhatsAppClient({ accessToken: firm.accessToken, baseUrl: firm.cloudApi });
}

type KapsoAnswer = Awaited<ReturnType<WhatsAppClient['messages']['sendText']>>;

function readKapso(answer: KapsoAnswer): Accepted {
  const contact = answer.contacts[0] as { waId?: string; userId?: string } | undefined;
  return { wamid: answer.messages[0]!.id, waId: contact?.waId, userId: contact?.userId };
}

function kapso(firm: TownBusiness): AirlineSystem {
  const { messages, media } = kapsoClient(firm);
  const { phoneNumberId } = firm;
  return {
    library: '@kapso/whatsapp-cloud-api',
    async sendFlightUpdate({ to, flight, time, gate }) {
      const parameters = [flight, time, gate].map((text) => ({ type: 'text' as const, text }));
      return readKapso(
        await messages.sendTemplate({
          phoneNumberId,
          to,
          template: {
            name: 'flight_update',
            language: { code: 'de' },
            components: [{ type: 'body', parameters }],
          },
        }),
      );
    },
    sendText: async (to, body) => readKapso(await messages.sendText({ phoneNumberId, to, body })),
    sendTextToUser: async (recipient, body) =>
      readKapso(await messages.sendText({ phoneNumberId, recipient, body })),
    async sendPicture({ to, caption, ...picture }) {
      if ('link' in picture) {
        const image = { link: picture.link, caption };
        return readKapso(await messages.sendImage({ phoneNumberId, to, image }));
      }
      const { id } = await media.upload({
        phoneNumberId,
        type: 'image/png',
        file: new Blob([picture.bytes], { type: 'image/png' }),
        fileName: 'gate.png',
      });
      return readKapso(await messages.sendImage({ phoneNumberId, to, image: { id, caption } }));
    },
    async markRead(messageId) {
      await messages.markRead({ phoneNumberId, messageId });
    },
  };
}

export function apiJsClient(firm: TownBusiness): WhatsAppAPI {
  // It takes no base address, but a fetch of our choice.
  const redirected: typeof fetch = (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    return fetch(url.replace('https://graph.facebook.com', firm.cloudApi), init);
  };
  return new WhatsAppAPI({
    token: firm.accessToken,
    appSecret: firm.appSecret,
    webhookVerifyToken: firm.verifyToken,
    v: 'v24.0',
    ponyfill: { fetch: redirected },
  });
}

function readApiJs(answer: unknown): Accepted {
  const { messages, contacts } = answer as {
    messages: { id: string }[];
    contacts: { wa_id?: string; user_id?: string }[];
  };
  const contact = contacts[0];
  return { wamid: messages[0]!.id, waId: contact?.wa_id, userId: contact?.user_id };
}

function apiJs(firm: TownBusiness): AirlineSystem {
  const client = apiJsClient(firm);
  const { phoneNumberId } = firm;
  return {
    library: 'whatsapp-api-js',
    async sendFlightUpdate({ to, flight, time, gate }) {
      const body = new BodyComponent(
        new BodyParameter(flight),
        new BodyParameter(time),
        new BodyParameter(gate),
      );
      const template = new Template('flight_update', new Language('de'), body);
      return readApiJs(await client.sendMessage(phoneNumberId, to, template));
    },
    sendText: async (to, text) =>
      readApiJs(await client.sendMessage(phoneNumberId, to, new Text(text))),
    sendTextToUser: async (userId, text) =>
      readApiJs(await client.sendMessage(phoneNumberId, userId, new Text(text))),
    async sendPicture({ to, caption, ...picture }) {
      if ('link' in picture) {
        const image = new Image(picture.link, false, caption);
        return readApiJs(await client.sendMessage(phoneNumberId, to, image));
      }
      const form = new FormData();
      form.set('messaging_product', 'whatsapp');
      form.set('file', new Blob([picture.bytes], { type: 'image/png' }), 'gate.png');
      const { id } = (await client.uploadMedia(phoneNumberId, form)) as { id: string };
      const image = new Image(id, true, caption);
      return readApiJs(await client.sendMessage(phoneNumberId, to, image));
    },
    async markRead(wamid) {
      await client.markAsRead(phoneNumberId, wamid);
    },
  };
}

/** `@kapso/whatsapp-cloud-api` takes a base address; `whatsapp-api-js` a fetch. */
export const airlineSystems = [
  { library: '@kapso/whatsapp-cloud-api', connect: kapso },
  { library: 'whatsapp-api-js', connect: apiJs },
] as const;

export const airlineSystem = kapso;
