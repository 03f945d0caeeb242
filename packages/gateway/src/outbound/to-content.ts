// Cloud API message → content. Pure: media are already sealed and the template is already looked up.

import type {
  CloudApiRefusal,
  InteractiveObject,
  MediaObject,
  MediaType,
  SendPayload,
} from '@siegel/protocol/cloud-api';
import type { Attachment, Body } from '@siegel/protocol/content';
import type { TemplateEntry } from '../templates/template-entry.ts';
import { type AttachmentOf, templateStanding, templateToContent } from './template-to-content.ts';

export type MediaReference = { readonly media: MediaType; readonly object: MediaObject };

/** The media a message needs before it can be translated, with what each is meant to be. */
export function mediaReferences(payload: SendPayload): MediaReference[] {
  switch (payload.type) {
    case 'image':
    case 'video':
    case 'audio':
    case 'document':
    case 'sticker':
      return [{ media: payload.type, object: payload.value }];
    case 'interactive': {
      const { header } = payload.value;
      if (header?.type === 'image') return [{ media: 'image', object: header.image }];
      if (header?.type === 'video') return [{ media: 'video', object: header.video }];
      if (header?.type === 'document') return [{ media: 'document', object: header.document }];
      return [];
    }
    case 'template':
      return payload.value.components
        .flatMap(({ parameters }) => parameters)
        .flatMap((parameter): MediaReference[] => {
          if (parameter.type === 'image') return [{ media: 'image', object: parameter.image }];
          if (parameter.type === 'video') return [{ media: 'video', object: parameter.video }];
          if (parameter.type === 'document')
            return [{ media: 'document', object: parameter.document }];
          return [];
        });
    default:
      return [];
  }
}

export type ToContent =
  | { readonly body: Body; readonly blobs: readonly string[]; readonly reactsTo?: string }
  | { readonly refusal: CloudApiRefusal };

/** Caption and file name are the message's, not the stored file's; audio and stickers have neither. */
function described(attachment: Attachment, object: MediaObject, media: MediaType): Attachment {
  const { caption, filename, voice } = object;
  const captioned = media === 'image' || media === 'video' || media === 'document';
  return {
    ...attachment,
    media,
    ...(captioned && caption ? { caption } : {}),
    ...(media === 'document' && filename ? { filename } : {}),
    ...(media === 'audio' && voice ? { voice } : {}),
  };
}

function interactiveBody(
  value: InteractiveObject,
  attachmentOf: AttachmentOf,
): Body | CloudApiRefusal {
  const common = {
    body: value.body.text,
    ...(value.footer?.text ? { footer: value.footer.text } : {}),
  };
  if (value.type === 'list') {
    const header = value.header === undefined ? {} : { header: { text: value.header.text } };
    const sections = value.action.sections.map(({ title, rows }) => ({
      ...(title === undefined ? {} : { title }),
      rows: rows.map(({ id, title: name, description }) => ({
        id,
        title: name,
        ...(description === undefined ? {} : { description }),
      })),
    }));
    return { type: 'list', ...header, ...common, button: value.action.button, sections };
  }
  const buttons = value.action.buttons.map(({ reply: { id, title } }) => ({ id, title }));
  const { header } = value;
  if (header === undefined) return { type: 'buttons', ...common, buttons };
  if (header.type === 'text') {
    return { type: 'buttons', header: { text: header.text }, ...common, buttons };
  }
  const object = (header as Record<string, unknown>)[header.type] as object;
  const attachment = attachmentOf(object);
  if (attachment === undefined) {
    return { code: 131053, details: 'The media of the header could not be read.' };
  }
  return { type: 'buttons', header: { attachment }, ...common, buttons };
}

function blobsOf(body: Body): string[] {
  if (body.type === 'attachment') return [body.blobId];
  const header = body.type === 'template' || body.type === 'buttons' ? body.header : undefined;
  return header !== undefined && 'attachment' in header ? [header.attachment.blobId] : [];
}

function bodyOf(input: {
  payload: SendPayload;
  attachmentOf: AttachmentOf;
  template: TemplateEntry | undefined;
}): Body | CloudApiRefusal {
  const { payload, attachmentOf, template } = input;
  switch (payload.type) {
    case 'text': {
      const { body: text, preview_url: preview } = payload.value;
      return { type: 'text', text, ...(preview ? { preview } : {}) };
    }
    case 'reaction':
      return { type: 'reaction', emoji: payload.value.emoji };
    case 'location': {
      const { latitude, longitude, name, address } = payload.value;
      return {
        type: 'location',
        latitude,
        longitude,
        ...(name ? { name } : {}),
        ...(address ? { address } : {}),
      };
    }
    case 'interactive':
      return interactiveBody(payload.value, attachmentOf);
    case 'template': {
      const standing = templateStanding(template);
      if (standing !== undefined || template === undefined) return standing ?? { code: 132001 };
      const made = templateToContent(payload.value, template, attachmentOf);
      return 'refusal' in made ? made.refusal : made.body;
    }
    default: {
      const attachment = attachmentOf(payload.value);
      return attachment === undefined
        ? { code: 131053 }
        : described(attachment, payload.value, payload.type);
    }
  }
}

export function toContent(input: {
  payload: SendPayload;
  attachmentOf: AttachmentOf;
  /** of a template message: undefined when there is none of that name and language */
  template?: TemplateEntry | undefined;
}): ToContent {
  const body = bodyOf({ ...input, template: input.template });
  if ('code' in body) return { refusal: body };
  const reacts = input.payload.type === 'reaction' ? input.payload.value.message_id : undefined;
  return {
    body,
    blobs: blobsOf(body),
    ...(reacts === undefined ? {} : { reactsTo: reacts }),
  };
}
