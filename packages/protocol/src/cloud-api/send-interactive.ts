// Reply buttons and lists, with the limits that clients of the Cloud API already keep.

import * as z from 'zod/mini';
import { absent, anyCase, looseString } from './loose.ts';
import { MediaObject } from './send-parts.ts';

const header = absent(
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('text'), text: looseString(60) }),
    z.object({ type: z.literal('image'), image: MediaObject }),
    z.object({ type: z.literal('video'), video: MediaObject }),
    z.object({ type: z.literal('document'), document: MediaObject }),
  ]),
);
const footer = absent(z.object({ text: looseString(60, 0) }));

const allDifferent = (values: readonly string[]) => new Set(values).size === values.length;

export const InteractiveButtons = z.object({
  type: z.literal('button'),
  header,
  body: z.object({ text: looseString(1024) }),
  footer,
  action: z.object({
    buttons: z
      .array(
        z.object({
          type: z.pipe(
            absent(anyCase(['reply'])),
            z.transform(() => 'reply' as const),
          ),
          reply: z.object({ id: looseString(256), title: looseString(20) }),
        }),
      )
      .check(
        z.minLength(1),
        z.maxLength(3),
        z.refine((buttons) => allDifferent(buttons.map(({ reply }) => reply.id)), {
          error: 'button ids must differ',
        }),
        z.refine((buttons) => allDifferent(buttons.map(({ reply }) => reply.title)), {
          error: 'button titles must differ',
        }),
      ),
  }),
});

const row = z.object({
  id: looseString(200),
  title: looseString(24),
  description: absent(looseString(72, 0)),
});
const section = z.object({
  title: absent(looseString(24, 0)),
  rows: z.array(row).check(z.minLength(1), z.maxLength(10)),
});

export const InteractiveList = z.object({
  type: z.literal('list'),
  header: absent(z.object({ type: z.literal('text'), text: looseString(60) })),
  body: z.object({ text: looseString(4096) }),
  footer,
  action: z.object({
    button: looseString(20),
    sections: z.array(section).check(
      z.minLength(1),
      z.maxLength(10),
      z.refine((sections) => sections.flatMap(({ rows }) => rows).length <= 10, {
        error: 'a list has at most 10 rows in total',
      }),
      z.refine((sections) => sections.length === 1 || sections.every(({ title }) => title), {
        error: 'every section needs a title when there is more than one',
      }),
      z.refine(
        (sections) => allDifferent(sections.flatMap(({ rows }) => rows.map(({ id }) => id))),
        { error: 'row ids must differ' },
      ),
    ),
  }),
});

/** Kinds the Cloud API knows and this gateway does not serve yet. */
export const unservedInteractive = [
  'cta_url',
  'location_request_message',
  'flow',
  'product',
  'product_list',
  'catalog_message',
  'address_message',
  'carousel',
  'call_permission_request',
  'voice_call',
  'request_contact_info',
  'order_details',
  'order_status',
] as const;

export const InteractiveObject = z.discriminatedUnion('type', [
  InteractiveButtons,
  InteractiveList,
]);
export type InteractiveObject = z.infer<typeof InteractiveObject>;
