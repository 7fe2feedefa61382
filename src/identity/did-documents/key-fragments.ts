import { readCurvePoint } from '../signatures/signing-key.ts';
import type { CurvePoint, VerificationMethod } from '../signatures/signing-key.ts';

/** Keys beyond this number are ignored, so that a cache entry stays small. Documents list three or four keys. */
const keysPerDocumentMax = 32;

/** Returns the fragment of the key that `kid` names, or undefined for a key of another DID. */
export function fragmentOf(did: string, kid: string): string | undefined {
  if (kid.startsWith('#')) return kid.slice(1);
  if (kid.startsWith(`${did}#`)) return kid.slice(did.length + 1);
  return kid.includes('#') ? undefined : kid;
}

/**
 * Returns the keys of the document by fragment, and ignores keys of other DIDs. Both keys of an id that appears twice
 * are ignored, because the id is ambiguous.
 */
export function pointsByFragment(did: string, methods: readonly VerificationMethod[]): ReadonlyMap<string, CurvePoint> {
  const points = new Map<string, CurvePoint>();
  const seen = new Set<string>();
  for (const method of methods.slice(0, keysPerDocumentMax)) {
    // An id without `#` is no id of a key.
    const fragment = method.id.includes('#') ? fragmentOf(did, method.id) : undefined;
    if (fragment === undefined) continue;
    const point = readCurvePoint(method);
    if (point !== undefined && !seen.has(fragment)) points.set(fragment, point);
    else points.delete(fragment);
    seen.add(fragment);
  }
  return points;
}
