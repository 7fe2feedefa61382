import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { QuotaName } from '#quota/table/quotas.ts';
import { permissiveSettingNames } from './permissive-settings.ts';
import type { PermissiveSetting } from './permissive-settings.ts';

/** The kinds of events that the audit log counts, each with its subjects. Add a new kind or subject here. */
export interface AuditSubjects {
  /** Error name of a request that failed authentication. */
  readonly auth_failure: AuthErrorCode | 'BadTicket';
  /** Name of the quota that a request exceeded. */
  readonly limit_hit: QuotaName;
  /** Counted when an address or a network was banned temporarily. */
  readonly ban: 'address' | 'network';
  /** Counted when a request was refused because its address is unknown or not allowed. */
  readonly address_refused: 'UnknownAddress' | 'AddressRefused';
  readonly server: 'started' | 'stopped';
  /** A setting that makes the service less strict, counted when a server starts with it. */
  readonly configuration: PermissiveSetting;
  /** Counted when a server starts with a different key than the database was written with. */
  readonly identity_key: 'mismatch';
  /** Counts the migrations that a server applied at its start. */
  readonly migrations: 'applied';
}

export type AuditKind = keyof AuditSubjects;
export type AuditSubject<Kind extends AuditKind = AuditKind> = AuditSubjects[Kind];

/** Replaces a subject that is in no list, so that a defect never stores arbitrary text. */
export const unknownSubject = 'unknown';

const allowedSubjects: { readonly [Kind in AuditKind]: readonly AuditSubjects[Kind][] } = {
  auth_failure: [...keysOf(authErrors), 'BadTicket'],
  limit_hit: keysOf(quotas),
  ban: ['address', 'network'],
  address_refused: ['UnknownAddress', 'AddressRefused'],
  server: ['started', 'stopped'],
  configuration: permissiveSettingNames,
  identity_key: ['mismatch'],
  migrations: ['applied'],
};

const knownSubjects: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(allowedSubjects).map(([kind, subjects]) => [kind, new Set<string>(subjects)]),
);

/** Returns whether `subject` may be counted under `kind`. */
export function isAuditSubject<Kind extends AuditKind>(kind: Kind, subject: string): subject is AuditSubject<Kind> {
  return knownSubjects.get(kind)?.has(subject) ?? false;
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  // The cast is safe because callers pass literals, which have no keys that their type does not list.
  return Object.keys(record) as Key[];
}
