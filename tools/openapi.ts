// Writes docs/api/relay.openapi.json from the endpoint values; with --check it only tells whether the committed one is current.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errorCodes } from '@siegel/protocol/errors';
import { type Endpoint, relayEndpoints } from '@siegel/protocol/relay';
import * as z from 'zod/mini';

const file = 'docs/api/relay.openapi.json';

type JsonSchema = Record<string, unknown> & {
  properties?: Record<string, unknown>;
  required?: string[];
};

const jsonSchema = (schema: z.ZodMiniType): JsonSchema => {
  const { $schema: _, ...rest }: JsonSchema = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
  });
  return rest;
};

const pathNames = (path: string): string[] =>
  [...path.matchAll(/:([a-zA-Z]+)/g)].map((match) => match[1] ?? '');

function parametersOf(endpoint: Endpoint, schema: JsonSchema) {
  const inPath = pathNames(endpoint.path);
  const inQuery = endpoint.method === 'GET' || endpoint.method === 'DELETE';
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => inPath.includes(name) || inQuery)
    .map(([name, property]) => ({
      name,
      in: inPath.includes(name) ? 'path' : 'query',
      required: inPath.includes(name) || (schema.required ?? []).includes(name),
      schema: property,
    }));
}

function bodyOf(endpoint: Endpoint, schema: JsonSchema) {
  if (endpoint.method !== 'POST' && endpoint.method !== 'PUT') return undefined;
  const inPath = pathNames(endpoint.path);
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).filter(([name]) => !inPath.includes(name)),
  );
  const required = (schema.required ?? []).filter((name) => !inPath.includes(name));
  return {
    required: true,
    content: {
      'application/json': {
        schema: { type: 'object', properties, required, additionalProperties: false },
      },
    },
  };
}

/** Outcomes with one status are one response with several shapes, told apart by `outcome`. */
function responsesOf(endpoint: Endpoint) {
  const byStatus = new Map<number, { name: string; schema: JsonSchema }[]>();
  for (const [name, { status, body }] of Object.entries(endpoint.outcomes)) {
    byStatus.set(status, [...(byStatus.get(status) ?? []), { name, schema: jsonSchema(body) }]);
  }
  const shape = ({ name, schema }: { name: string; schema: JsonSchema }) => ({
    ...schema,
    properties: { outcome: { const: name }, ...schema.properties },
    required: ['outcome', ...(schema.required ?? [])],
  });
  const responses = [...byStatus].map(([status, outcomes]) => [
    String(status),
    {
      description: outcomes.map(({ name }) => name).join(', '),
      content: {
        'application/json': {
          schema: alternatives(outcomes.map(shape)),
        },
      },
    },
  ]);
  return { ...Object.fromEntries(responses), default: { $ref: '#/components/responses/Error' } };
}

const alternatives = ([first, ...others]: JsonSchema[]): JsonSchema | undefined =>
  others.length === 0 ? first : { oneOf: [first, ...others] };

function operationOf(endpoint: Endpoint) {
  const schema = jsonSchema(endpoint.request);
  const requestBody = bodyOf(endpoint, schema);
  return {
    operationId: endpoint.name,
    summary: endpoint.summary,
    description: `Caller: ${endpoint.caller}. Rules: ${endpoint.rules.join(', ')} (docs/spec/relay.md).`,
    parameters: parametersOf(endpoint, schema),
    ...(requestBody ? { requestBody } : {}),
    responses: responsesOf(endpoint),
    security: endpoint.caller === 'anyone' ? [] : [{ [endpoint.caller]: [] }],
  };
}

function pathsOf(endpoints: readonly Endpoint[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replaceAll(/:([a-zA-Z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint) };
  }
  return paths;
}

const errorSchema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: { code: { enum: Object.keys(errorCodes) }, message: { type: 'string' } },
      required: ['code', 'message'],
    },
  },
  required: ['error'],
};

const document = {
  openapi: '3.1.0',
  info: {
    title: 'Siegel relay',
    version: '0.1.0',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    description:
      'What a client and the relay say to each other. Generated from packages/protocol/src/relay.',
  },
  servers: [{ url: '/' }],
  paths: pathsOf(relayEndpoints),
  components: {
    securitySchemes: {
      device: {
        type: 'http',
        scheme: 'bearer',
        description: 'Device token, given at registration, linking or enrolment.',
      },
      operator: {
        type: 'http',
        scheme: 'bearer',
        description: 'Operator token of the relay’s configuration.',
      },
    },
    responses: {
      Error: {
        description: 'A failure with its code.',
        content: { 'application/json': { schema: errorSchema } },
      },
    },
  },
};

const text = `${JSON.stringify(document, null, 2)}\n`;
if (process.argv.includes('--check')) {
  const current = existsSync(file) && readFileSync(file, 'utf8') === text;
  if (!current) console.error(`${file} is not current: run \`npm run docs\`.`);
  process.exitCode = current ? 0 : 1;
} else {
  mkdirSync('docs/api', { recursive: true });
  writeFileSync(file, text);
  console.log(`${file}: ${relayEndpoints.length} endpoints`);
}
