import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { QuotaName } from '#quota/table/quotas.ts';
import { looseSettingNames } from './loose-settings.ts';
import type { LooseSetting } from './loose-settings.ts';

/** Everything that the audit log can count: for each kind of event the words that say which. A new one gets its line here. */
export interface AuditSubjects {
  /** A request proved no identity: the name of the refusal. */
  readonly auth_failure: AuthErrorCode | 'BadTicket';
  /** A request was refused for a limit: its row in the quota table. */
  readonly limit_hit: QuotaName;
  /** An address, or a network of them, was shut out for a while. */
  readonly ban: 'address' | 'network';
  /** A request whose address cannot be told, or is not let in. */
  readonly address_refused: 'UnknownAddress' | 'AddressRefused';
  readonly server: 'started' | 'stopped';
  /** A server started with a setting that makes it less strict. */
  readonly configuration: LooseSetting;
  /** A server was started with another key than the database was written with. */
  readonly identity_key: 'mismatch';
  /** How many migrations a server applied when it started. */
  readonly migrations: 'applied';
}

export type AuditKind = keyof AuditSubjects;
export type AuditSubject<Kind extends AuditKind = AuditKind> = AuditSubjects[Kind];

/** Stands for any word that is not of the list, so that a mistake never writes down what was given. */
export const unknownSubject = 'unknown';

const words: { readonly [Kind in AuditKind]: readonly AuditSubjects[Kind][] } = {
  auth_failure: [...keysOf(authErrors), 'BadTicket'],
  limit_hit: keysOf(quotas),
  ban: ['address', 'network'],
  address_refused: ['UnknownAddress', 'AddressRefused'],
  server: ['started', 'stopped'],
  configuration: looseSettingNames,
  identity_key: ['mismatch'],
  migrations: ['applied'],
};

const known: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(words).map(([kind, subjects]) => [kind, new Set<string>(subjects)]),
);

/** Whether `subject` is a word that may be counted under `kind`. */
export function isAuditSubject<Kind extends AuditKind>(kind: Kind, subject: string): subject is AuditSubject<Kind> {
  return known.get(kind)?.has(subject) ?? false;
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  // The compiler cannot know that an object has no further keys; these are literals.
  return Object.keys(record) as Key[];
}
