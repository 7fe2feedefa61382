import { describe, expect, test } from 'vitest';
import { readConfig } from '#platform/config/config.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { usesDevelopmentIdentities } from '../../src/development/development-setting.ts';

type Environment = Readonly<Record<string, string>>;

const production: Environment = {
  NODE_ENV: 'production',
  SERVICE_DID: 'did:web:mls.nightjar.test',
  DATABASE_URL: 'postgres://127.0.0.1/nightjar',
  IDENTITY_KEY: newKeyRingText(),
};

const isOn = (env: Environment, role: 'all' | 'server' = 'all'): boolean =>
  usesDevelopmentIdentities(readConfig(env), role);

test('npm start without settings has development identities', () => {
  expect(isOn({})).toBe(true);
});

test.each<[string, Environment]>([
  ['production', production],
  ['tests', { NODE_ENV: 'test' }],
  ['a database of the operator', { DATABASE_URL: 'postgres://127.0.0.1/nightjar' }],
  ['a did:plc directory of the operator', { PLC_URL: 'http://127.0.0.1:2582' }],
  ['all addresses', { SERVER_HOST: '0.0.0.0' }],
  ['an address of the network', { SERVER_HOST: '192.168.1.7' }],
  ['a switch that is off', { DEVELOPMENT_IDENTITIES: 'false' }],
])('npm start with %s has none', (_, env) => {
  expect(isOn(env)).toBe(false);
});

test('npm run server has none by default', () => {
  expect(isOn({}, 'server')).toBe(false);
});

test.each<[string, Environment]>([
  ['a database of the operator', { DATABASE_URL: 'postgres://127.0.0.1/nightjar' }],
  ['a did:plc directory of the operator', { PLC_URL: 'http://127.0.0.1:2582' }],
  ['a loopback address', { SERVER_HOST: 'localhost' }],
])('the setting turns them on with %s', (_, env) => {
  expect(isOn({ ...env, DEVELOPMENT_IDENTITIES: 'true' }, 'server')).toBe(true);
});

describe('a server does not start with the setting', () => {
  test('in production', () => {
    expect(() => readConfig({ ...production, DEVELOPMENT_IDENTITIES: 'true' })).toThrow(
      'DEVELOPMENT_IDENTITIES: may not be true in production. Remove it.',
    );
  });

  test('in production, even if the settings were not checked', () => {
    const unchecked = { ...readConfig(production), DEVELOPMENT_IDENTITIES: true };
    expect(() => usesDevelopmentIdentities(unchecked, 'all')).toThrow('may not be true in production');
  });

  test.each(['0.0.0.0', '::', '192.168.1.7', 'localhost.attacker.example', '127.0.0.1.attacker.example'])(
    'on %s',
    (host) => {
      const env = { DEVELOPMENT_IDENTITIES: 'true', SERVER_HOST: host };
      expect(() => isOn(env)).toThrow('DEVELOPMENT_IDENTITIES: may be true only on a loopback address.');
    },
  );
});
