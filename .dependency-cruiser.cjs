// The import table of ARCHITECTURE.md, line by line. What is not allowed here is an error.

const rooms = {
  protocol: { path: '^packages/protocol/src', may: [] },
  crypto: { path: '^packages/crypto/src', may: ['^packages/protocol/src'] },
  client: { path: '^packages/client/src', may: ['^packages/protocol/src', '^packages/crypto/src'] },
  database: { path: '^packages/database/src', may: [] },
  relay: {
    path: '^packages/relay/src',
    may: [
      '^packages/protocol/src/(relay/|ids\\.ts$|limits\\.ts$|errors\\.ts$)',
      '^packages/crypto/src/verify\\.ts$',
      '^packages/database/src',
    ],
  },
  gateway: {
    path: '^packages/gateway/src',
    may: ['^packages/protocol/src', '^packages/client/src', '^packages/database/src'],
  },
  bot: {
    path: '^packages/bot/src',
    may: ['^packages/protocol/src/(cloud-api/|ids\\.ts$|limits\\.ts$|errors\\.ts$)'],
  },
  bots: { path: '^bots/[^/]+/src', may: ['^packages/bot/src'] },
  testkit: {
    path: '^packages/testkit/src',
    may: ['^packages/(protocol|crypto|client|database|relay|gateway|bot)/src', '^bots/[^/]+/src'],
  },
  cli: {
    path: '^packages/cli/src',
    may: ['^packages/(protocol|crypto|client|database|relay|gateway|testkit)/src'],
  },
};

const table = Object.entries(rooms).map(([name, { path, may }]) => ({
  name: `${name}-imports-only-its-row`,
  severity: 'error',
  from: { path, pathNot: '\\.test\\.ts$' },
  to: { path: '^(packages|apps|bots)/', pathNot: [path, ...may] },
}));

/** Rooms that know no platform, but for the files that choose one. */
const platformFree = ['^packages/protocol/src', '^packages/crypto/src', '^packages/client/src'];

module.exports = {
  forbidden: [
    ...table,
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-node-outside-node-rooms',
      severity: 'error',
      from: {
        path: platformFree,
        pathNot: ['/node[a-z-]*\\.ts$', '\\.test\\.ts$', '/store\\.contract\\.ts$'],
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'relay-never-opens',
      comment:
        'What the relay may import of crypto must not reach anything that seals or opens, at any depth.',
      severity: 'error',
      from: { path: '^packages/relay/src' },
      to: {
        path: [
          '^packages/crypto/src/(attachment|open-attachment|padding)',
          '^packages/crypto/src/mls/(open|seal|create-engine|join-by-|found-group|adopt-commit)',
          '^packages/protocol/src/content/',
        ],
        reachable: true,
      },
    },
    {
      name: 'framework-lives-in-http',
      severity: 'error',
      from: { path: '^packages/(relay|gateway)/src', pathNot: '/http/' },
      to: { path: 'node_modules/(fastify|@fastify)/' },
    },
    {
      name: 'not-to-test',
      severity: 'error',
      from: { pathNot: '(\\.test\\.ts$|/test/)' },
      to: { path: '(\\.test\\.ts$|/test/)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(/dist/|/node_modules/(?!@siegel))' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'node'],
    },
  },
};
