// Who may call: a bearer token, or ?access_token= (one client reads templates so). Paging links carry a token of their own
// that is good for one hour and one path.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CloudApiRefusal } from '@siegel/protocol/cloud-api';
import type { FastifyRequest } from 'fastify';
import { type GatewayContext, numberById, type OwnNumber } from '../gateway-context.ts';
import { type Access, checkToken, type Permission } from '../tokens.ts';
import { noSuchObject } from './cloud-api-error.ts';

type Refused = { readonly refusal: CloudApiRefusal };

const pagingMs = 60 * 60 * 1000;
const tokenCharsMax = 2048;

export type Query = Readonly<Record<string, unknown>>;

/** A query value as one string: a repeated one counts once. */
export function queryText(query: unknown, name: string): string | undefined {
  const value = (query as Query)[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : undefined;
}

function presented(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization;
  const bearer = header && /^(?:Bearer|OAuth)\s+(\S+)\s*$/i.exec(header)?.[1];
  const token = bearer ?? queryText(request.query, 'access_token');
  return token !== undefined && token.length <= tokenCharsMax ? token : undefined;
}

type PagingClaims = { path: string; until: number; numbers?: readonly string[] | undefined };

const pagingMac = (secret: Uint8Array, claims: string): string =>
  createHmac('sha256', secret).update(`paging:${claims}`).digest('base64url');

export function pagingToken(
  context: Pick<GatewayContext, 'secret' | 'clock'>,
  path: string,
  access: Access,
): string {
  const claims: PagingClaims = {
    path,
    until: context.clock.now() + pagingMs,
    numbers: access.phoneNumberIds,
  };
  const text = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `pg.${text}.${pagingMac(context.secret, text)}`;
}

function pagingAccess(
  context: Pick<GatewayContext, 'secret' | 'clock'>,
  request: FastifyRequest,
  token: string,
): Access | undefined {
  const [, text = '', mac = ''] = token.split('.');
  const expected = Buffer.from(pagingMac(context.secret, text));
  const given = Buffer.from(mac);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const claims = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as PagingClaims;
  const path = request.url.split('?')[0];
  const fits = request.method === 'GET' && claims.path === path;
  if (!fits || claims.until <= context.clock.now()) return undefined;
  return {
    permissions: ['whatsapp_business_management'],
    ...(claims.numbers === undefined ? {} : { phoneNumberIds: claims.numbers }),
  };
}

/** `signed-url`: the address carries its own proof, so a token may be left out; one that is there must be good. */
export type Needed = Permission | 'any' | 'signed-url';

export async function authorise(
  context: GatewayContext,
  request: FastifyRequest,
  needed: Needed,
): Promise<{ access: Access } | Refused> {
  const token = presented(request);
  const permission = permissionFor(needed);
  if (token === undefined) {
    const isBare = needed === 'signed-url' && request.headers.authorization === undefined;
    return isBare ? { access: { permissions: [] } } : { refusal: { code: 190 } };
  }
  const paging = token.startsWith('pg.') ? pagingAccess(context, request, token) : undefined;
  if (paging === undefined) {
    const checked = await checkToken(context.database, token, context.clock.now());
    if (checked.outcome === 'valid') return permitted(checked.access, permission);
    const subcode = checked.outcome === 'expired' ? { subcode: 463 } : {};
    return { refusal: { code: 190, ...subcode } };
  }
  return permitted(paging, permission);
}

function permissionFor(needed: Needed): Permission | undefined {
  if (needed === 'any') return undefined;
  return needed === 'signed-url' ? 'whatsapp_business_messaging' : needed;
}

const permitted = (
  access: Access,
  permission: Permission | undefined,
): { access: Access } | Refused =>
  permission === undefined || access.permissions.includes(permission)
    ? { access }
    : { refusal: { code: 10, details: `This access token lacks ${permission}.` } };

const maySee = (access: Access, number: OwnNumber): boolean =>
  access.phoneNumberIds === undefined || access.phoneNumberIds.includes(number.phoneNumberId);

/** The firm's number of that id, if the token may see it. */
export function ownNumber(
  context: GatewayContext,
  access: Access,
  id: string,
): { number: OwnNumber } | Refused {
  const number = numberById(context.business, id);
  return number !== undefined && maySee(access, number) ? { number } : { refusal: noSuchObject };
}

/** The numbers of a WABA that the token may see; at least one, or the WABA is not there for it. */
export function ownWaba(
  context: GatewayContext,
  access: Access,
  id: string,
): { numbers: readonly OwnNumber[] } | Refused {
  const numbers = context.business.numbers.filter(
    (number) => number.wabaId === id && maySee(access, number),
  );
  return numbers.length > 0 ? { numbers } : { refusal: noSuchObject };
}
