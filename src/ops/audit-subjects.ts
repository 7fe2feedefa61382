import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { QuotaName } from '#quota/table/quotas.ts';
import { permissiveSettingNames } from './permissive-settings.ts';
import type { PermissiveSetting } from './permissive-settings.ts';

/** Everything that the audit log counts: for each kind of event its subjects. Add a new kind or subject here. */
export interface AuditSubjects {
  /** A request failed authentication: the error name. */
  readonly auth_failure: AuthErrorCode | 'BadTicket';
  /** A request exceeded a quota: the quota's name. */
  readonly limit_hit: QuotaName;
  /** An address or a network was banned temporarily. */
  readonly ban: 'address' | 'network';
  /** A request was refused because its address is unknown or not allowed. */
  readonly address_refused: 'UnknownAddress' | 'AddressRefused';
  readonly server: 'started' | 'stopped';
  /** A server started with a setting that makes the service less strict. */
  readonly configuration: PermissiveSetting;
  /** A server started with a different key than the database was written with. */
  readonly identity_key: 'mismatch';
  /** How many migrations a server applied at its start. */
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

/** Whether `subject` may be counted under `kind`. */
export function isAuditSubject<Kind extends AuditKind>(kind: Kind, subject: string): subject is AuditSubject<Kind> {
  return knownSubjects.get(kind)?.has(subject) ?? false;
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  // The compiler does not exclude further keys of an object; the callers pass literals.
  return Object.keys(record) as Key[];
}
