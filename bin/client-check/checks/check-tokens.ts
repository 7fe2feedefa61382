import { limits } from '#platform/limits.ts';
import { namespace } from '../front/read-call.ts';
import type { CallRecord, ClientRecord } from '../record.ts';
import type { Finding } from '../rules.ts';

/** Checks the claims of every token. */
export function checkTokens({ calls, serviceDid }: ClientRecord): Finding[] {
  const seen = new Set<unknown>();
  return calls.flatMap((call, index) => {
    const { claims, method } = call;
    const name = `Call ${index + 1}, ${method}`;
    if (claims === undefined) return [{ rule: 'token-signature', seen: `${name}, has no token that can be read.` }];
    const findings: Finding[] = [];
    if (seen.has(claims.jti)) findings.push({ rule: 'token-once', seen: `${name}, has the token of an earlier call.` });
    seen.add(claims.jti);
    if (claims.lxm !== `${namespace}.${method}`)
      findings.push({ rule: 'token-method', seen: `${name}, has a token for ${String(claims.lxm)}.` });
    if (claims.aud !== serviceDid && claims.aud !== `${serviceDid}#atproto_mls`)
      findings.push({ rule: 'token-audience', seen: `${name}, has a token for the audience ${String(claims.aud)}.` });
    return [...findings, ...lifetime(call, name), ...signature(call, name)];
  });
}

function lifetime({ claims, outcome }: CallRecord, name: string): Finding[] {
  if (claims === undefined) return [];
  const { iat, exp } = claims;
  if (iat === undefined) return [{ rule: 'token-lifetime', seen: `${name}, has a token without iat.` }];
  if (exp - iat > limits.tokenLifetimeSecondsMax)
    return [{ rule: 'token-lifetime', seen: `${name}, has a token for ${exp - iat} seconds.` }];
  const refused = ['JwtExpired', 'BadJwtLifetime', 'JwtTooOld'].includes(outcome?.error ?? '');
  return refused ? [{ rule: 'token-lifetime', seen: `${name}, got ${outcome?.error ?? ''}.` }] : [];
}

function signature({ outcome }: CallRecord, name: string): Finding[] {
  const { error = '', isInjected = false } = outcome ?? {};
  const isRefused = ['BadJwt', 'BadJwtSignature', 'BadJwtType', 'BadJwtIssuer'].includes(error) && !isInjected;
  return isRefused ? [{ rule: 'token-signature', seen: `${name}, got ${error}.` }] : [];
}
