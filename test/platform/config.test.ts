import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, removeSecrets, readConfig } from '#platform/config/config.ts';
import { newSecret } from '#platform/ids.ts';
import type { ProcessFacts } from '#platform/process/process-facts.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting, SettingName } from '#platform/config/settings.ts';

type Environment = Readonly<Record<string, string>>;

const rows = Object.entries<Setting>(settings);
const newKey = (): string => `1:${newSecret(32).toString('base64')}`;
const service: ProcessFacts = { uid: 1_000, nodeOptions: [] };

/** Settings that are valid in production. */
const production = {
  NODE_ENV: 'production',
  SERVICE_DID: 'did:web:mls.nightjar.test',
  IDENTITY_KEY: newKey(),
  DATABASE_URL: `postgres://nightjar:${newSecret(16).toString('hex')}@db.nightjar.test/nightjar`,
};

function problemsOf(env: Environment, facts?: ProcessFacts): readonly string[] {
  try {
    readConfig(env, facts);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'nightjar-config-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('every setting', () => {
  const garbage = '\u0001 no value of anything';

  test.for(rows.map(([name]) => name))(
    '%s refuses an invalid value, names the setting and does not repeat the value',
    (name) => {
      const problems = problemsOf({ [name]: garbage });
      expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name}: .{10,}`))]);
      expect(problems.join()).not.toContain('no value of anything');
    },
  );

  const numbers = rows.filter(([, { schema, fallback }]) => typeof schema.safeParse(fallback).data === 'number');
  test('numbers are found', () => expect(numbers.length).toBeGreaterThan(20));
  test.for(numbers.map(([name]) => name))('%s accepts only whole numbers within its bounds', (name) => {
    for (const text of ['-1', '1.5', '1e3', '0x10', ' 7', '1_000', '99999999999999', 'NaN', 'Infinity'])
      expect(problemsOf({ [name]: text }), text).toHaveLength(1);
  });

  test.for(rows.map(([name]) => name))('%s has a default and an example that are valid', (name) => {
    const setting: Setting = settings[name as SettingName];
    for (const text of [setting.fallback, setting.example]) {
      // A key must be generated, so its example is a placeholder.
      if (text === undefined || text.includes('<')) continue;
      expect(setting.schema.safeParse(text).success, text).toBe(true);
    }
  });

  test('an empty variable counts as unset', () => {
    expect(readConfig(Object.fromEntries(rows.map(([name]) => [name, ''])))).toEqual(readConfig({}));
  });

  test('all problems are reported at once', () => {
    const problems = problemsOf({ ...Object.fromEntries(rows.map(([name]) => [name, garbage])), RATE_LIMIT_WHAT: '1' });
    expect(problems).toHaveLength(rows.length + 1);
  });
});

describe('unknown variables', () => {
  test.for([
    ['RATE_LIMIT_SEND_MESSAGES', 'RATE_LIMIT_SEND_MESSAGE'],
    ['ENFORCE_NONCE', 'ENFORCE_'],
    ['JTI_TTL', 'JTI_TTL_SECONDS'],
    ['NIGHTJAR_SERVER_PORT', 'SERVER_PORT'],
    ['SERVER_PROT', 'SERVER_PORT'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['TRUSTED_PROXIES', 'TRUSTED_PROXY_'],
    ['MAX_KEY_PACKAGES', 'MAX_KEY_PACKAGES_PER_DEVICE'],
    ['MESSAGE_TTL_DAY', 'MESSAGE_TTL_DAYS'],
    ['server_port', 'SERVER_PORT'],
    ['IDENTITY_KEYS', 'IDENTITY_KEY'],
  ])('%s is reported, with %s as a suggestion', ([name = '', suggestion = '']) => {
    expect(problemsOf({ [name]: '5' })).toEqual([expect.stringMatching(new RegExp(`^${name}: .*${suggestion}`))]);
  });

  test('a file for a setting that is not secret is refused, because it would not be read', () => {
    expect(problemsOf({ SERVICE_DID_FILE: '/run/did' })).toEqual([expect.stringContaining('Set SERVICE_DID itself')]);
  });

  test('variables of other programs are ignored', () => {
    const theirs =
      'PATH HOME USER LANG TZ NODE_PATH NODE_EXTRA_CA_CERTS NODE_COMPILE_CACHE SERVER_NAME SERVER_SOFTWARE SERVICE_NAME DATABASE_NAME DATABASE_HOST LOG_FILE MAX_MEMORY DATA_PATH PUBLIC_KEY_PATH TIME_STYLE REDIS_HOST IDENTITY_ENDPOINT IDENTITY_HEADER WORKER_ID CLIENT_ID AUTH_TOKEN ADMIN_EMAIL MESSAGE_BROKER EVENT_BUS SHUTDOWN_HOOK HTTP_PROXY HTTPS_PROXY NO_PROXY PGHOST PGPASSWORD PORT HOSTNAME INVOCATION_ID JOURNAL_STREAM CREDENTIALS_DIRECTORY STATE_DIRECTORY NOTIFY_SOCKET npm_config_registry XDG_DATA_DIRS SSH_AUTH_SOCK KUBERNETES_SERVICE_PORT DISPLAY';
    expect(problemsOf(Object.fromEntries(theirs.split(' ').map((name) => [name, 'x'])))).toEqual([]);
  });
});

describe('production', () => {
  test('valid settings are accepted', () => {
    expect(problemsOf(production, service)).toEqual([]);
  });

  test('settings without a safe default must be set', () => {
    expect(problemsOf({ NODE_ENV: 'production' }, service).map((problem) => problem.split(':')[0])).toEqual([
      'SERVICE_DID',
      'DATABASE_URL',
      'IDENTITY_KEY',
    ]);
  });

  const secretBytes = (bytes: Uint8Array): string => `1:${Buffer.from(bytes).toString('base64')}`;
  const counting = Uint8Array.from({ length: 32 }, (_, index) => index);
  test.for([
    ['all bytes equal', secretBytes(new Uint8Array(32).fill(0x5a))],
    ['all zero', secretBytes(new Uint8Array(32))],
    ['counting up', secretBytes(counting)],
    ['counting down', secretBytes(counting.map((byte) => 255 - byte))],
    ['counting by sevens', secretBytes(counting.map((byte) => byte * 7))],
    ['two alternating bytes', secretBytes(counting.map((byte) => byte % 2))],
    ['ten different bytes', secretBytes(counting.map((byte) => (byte % 10) * 23))],
    ['typed text', secretBytes(Buffer.from('correct horse battery staple 123'))],
    ['hexadecimal text', secretBytes(Buffer.from('0123456789abcdef0123456789abcdef'))],
    ['too short', secretBytes(newSecret(16))],
    ['too long', secretBytes(newSecret(64))],
    ['without id', newSecret(32).toString('base64')],
    ['the same id twice', `${newKey()},${newKey()}`],
    ['a weak second key', `${newKey()},2:${Buffer.alloc(32, 7).toString('base64')}`],
    ['the placeholder', settings.IDENTITY_KEY.example ?? ''],
  ])('IDENTITY_KEY: %s is refused, and not repeated', ([, key = '']) => {
    const problems = problemsOf({ ...production, IDENTITY_KEY: key }, service);
    expect(problems).toEqual([expect.stringMatching(/^IDENTITY_KEY: /)]);
    expect(problems.join()).not.toContain(key.slice(2, 12));
  });

  test('a thousand random keys are accepted', () => {
    for (let nth = 0; nth < 1_000; nth++) expect(problemsOf({ IDENTITY_KEY: newKey() })).toEqual([]);
  });

  test.for([
    'password',
    'Password1!',
    'postgres',
    'nightjar',
    'changeme2024',
    'secret',
    'short7b',
    'aaaaaaaaaaaaaaaa',
    'db.nightjar.test',
    'nightjar-role',
    '%zz%zz%zz%zz%zz',
  ])('DATABASE_URL: the password %s is refused, and not repeated', (password) => {
    const url = `postgres://nightjar-role:${password}@db.nightjar.test/nightjar`;
    for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL']) {
      const problems = problemsOf({ ...production, [name]: url }, service);
      expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name}: the password`))]);
      expect(problems.join().replaceAll(name, '')).not.toContain(`${password}@`);
    }
  });

  test.for([
    'postgres://nightjar@db.nightjar.test/nightjar',
    'postgres:///nightjar?host=/run/postgresql',
    `postgres://nightjar:${encodeURIComponent('p@ss/w ö?rd-long%')}@db.nightjar.test/nightjar`,
  ])('DATABASE_URL: %s is accepted', (url) => {
    expect(problemsOf({ ...production, DATABASE_URL: url }, service)).toEqual([]);
  });

  test.for([
    ['SERVICE_DID', settings.SERVICE_DID.example],
    ['SERVICE_AUDIENCES', settings.SERVICE_AUDIENCES.example],
    ['PUBLIC_URL', settings.PUBLIC_URL.example],
    ['DATABASE_URL', settings.DATABASE_URL.example],
    ['ENFORCE_LXM', 'false'],
    ['ENFORCE_JTI', '0'],
    ['IDENTITY_ALLOW_PRIVATE_NETWORK', 'yes'],
    ['PLC_URL', 'http://plc.nightjar.test'],
  ])('%s: the value of the example, or of tests, is refused', ([name = '', value = '']) => {
    expect(problemsOf({ ...production, [name]: value }, service)).toEqual([
      expect.stringMatching(new RegExp(`^${name}: .*[.]`)),
    ]);
  });

  test('a did:plc requires PUBLIC_URL, because it does not contain the host', () => {
    const env = { ...production, SERVICE_DID: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' };
    expect(problemsOf(env, service)).toEqual([expect.stringContaining('PUBLIC_URL: is required')]);
    expect(problemsOf({ ...env, PUBLIC_URL: 'https://mls.nightjar.test' }, service)).toEqual([]);
  });
});

describe('the process in production', () => {
  test.for([
    ['root', { ...service, uid: 0 }, {}, /runs as root/],
    ['--insecure-http-parser', { ...service, nodeOptions: ['--insecure-http-parser'] }, {}, /insecure-http-parser/],
    ['the same as an option', service, { NODE_OPTIONS: '--max-old-space-size=512 --insecure_http_parser' }, /insecure/],
    ['an open debugger', service, { NODE_OPTIONS: '"--inspect=0.0.0.0:9229"' }, /--inspect/],
    ['keys of connections in a file', { ...service, nodeOptions: ['--tls-keylog=/tmp/k'] }, {}, /tls-keylog/],
    ['certificates unchecked', service, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, /NODE_TLS_REJECT_UNAUTHORIZED/],
    ['tokens on the error output', service, { NODE_DEBUG: 'http' }, /NODE_DEBUG/],
    ['commands on the error output', service, { DEBUG: 'ioredis:*' }, /DEBUG/],
  ] as const)('%s is refused in production only', ([, facts, env, expected]) => {
    expect(problemsOf({ ...production, ...env }, facts)).toEqual([expect.stringMatching(expected)]);
    expect(problemsOf(env, facts)).toEqual([]);
    expect(problemsOf({ ...production, ...env })).toEqual([]);
  });
});

describe('secrets from files', () => {
  async function secretFile(text: string, mode: number, name = newSecret(4).toString('hex')): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text, { mode });
    await chmod(path, mode);
    return path;
  }
  const withFile = (path: string, env: Environment = {}): Environment => {
    const { IDENTITY_KEY: _key, ...rest } = production;
    return { ...rest, IDENTITY_KEY_FILE: path, ...env };
  };

  test.for([0o400, 0o600])('mode %i is accepted', async (mode) => {
    const key = newKey();
    expect(readConfig(withFile(await secretFile(`${key}\n`, mode)), service).IDENTITY_KEY).toBe(key);
  });

  test.for([0o640, 0o604, 0o644, 0o620, 0o660, 0o440])('mode %i is refused in production only', async (mode) => {
    const path = await secretFile(newKey(), mode);
    expect(problemsOf(withFile(path), service)).toEqual([expect.stringMatching(/^IDENTITY_KEY_FILE: .*chmod 600/)]);
    expect(problemsOf({ IDENTITY_KEY_FILE: path })).toEqual([]);
  });

  test('a systemd credential is accepted, whose mode shows only the access of the service', async () => {
    const path = await secretFile(newKey(), 0o440);
    expect(problemsOf(withFile(path, { CREDENTIALS_DIRECTORY: folder }), service)).toEqual([]);
    expect(problemsOf(withFile(path, { CREDENTIALS_DIRECTORY: tmpdir() }), service)).toHaveLength(1);
  });

  test('a file that is missing, empty, a folder or too large is reported as one problem', async () => {
    await mkdir(join(folder, 'sub'), { recursive: true });
    const paths = [
      join(folder, 'nowhere'),
      await secretFile(' \n', 0o600),
      join(folder, 'sub'),
      await secretFile('x'.repeat(100_000), 0o600),
    ];
    await chmod(join(folder, 'sub'), 0o700);
    for (const path of paths)
      expect(problemsOf(withFile(path), service)).toEqual([expect.stringMatching(/^IDENTITY_KEY_FILE: the file/)]);
  });

  test('a variable together with its file is refused, because one of them would be ignored', async () => {
    const path = await secretFile(newKey(), 0o600);
    expect(problemsOf(withFile(path, { IDENTITY_KEY: newKey() }), service)).toEqual([
      expect.stringContaining('Remove one of them'),
    ]);
  });

  test('after removeSecrets, no secret is left in the environment', () => {
    const env: Record<string, string | undefined> = { ...production, PATH: '/bin' };
    removeSecrets(env);
    expect(Object.keys(env)).toEqual(['NODE_ENV', 'SERVICE_DID', 'PATH']);
  });
});
