// The parts that several kinds of sent message share: media by id or link, a place, a wamid.

import * as z from 'zod/mini';
import { limits } from '../limits.ts';
import { absent, looseBoolean, looseNumber, looseString } from './loose.ts';

/** `wamid.` and base64: our own are 17 octets; foreign ones are longer and simply unknown here. */
export const Wamid = z
  .string()
  .check(z.regex(/^wamid\.[A-Za-z0-9+/=_-]{1,256}$/, 'a message id begins with "wamid."'));

/** `CC.` and letters or digits: names a person towards one business only. */
export const BusinessScopedUserId = z
  .string()
  .check(z.regex(/^[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}$/, 'must be a business-scoped user id'));

const link = z
  .string()
  .check(z.maxLength(2000), z.regex(/^https?:\/\//i, 'a link begins with https://'));

export const MediaObject = z
  .object({
    id: absent(looseString(32)),
    link: absent(link),
    caption: absent(looseString(limits.captionCharsMax, 0)),
    filename: absent(looseString(240, 0)),
    voice: absent(looseBoolean),
  })
  .check(
    z.refine((media) => (media.id === undefined) !== (media.link === undefined), {
      error: 'exactly one of id and link is needed',
    }),
  );
export type MediaObject = z.infer<typeof MediaObject>;

export const LocationObject = z.object({
  latitude: looseNumber(-90, 90),
  longitude: looseNumber(-180, 180),
  name: absent(looseString(100, 0)),
  address: absent(looseString(300, 0)),
});
export type LocationObject = z.infer<typeof LocationObject>;
