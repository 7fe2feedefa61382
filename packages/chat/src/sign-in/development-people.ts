import { AdvisedError } from '../person/advice.ts';

/** A person whom the development server has made, and for whom it signs tokens. */
export interface DevelopmentPerson {
  readonly name: string;
  readonly did: string;
  readonly handle: string;
}

export interface DevelopmentPeople {
  readonly serviceDid: string;
  readonly people: readonly DevelopmentPerson[];
}

/** What the database stores of one conversation. */
export interface StoredRows {
  readonly tables: readonly {
    readonly table: string;
    readonly rowCount: number;
    readonly rows: readonly Readonly<Record<string, string>>[];
  }[];
}

/** The people of the development server; undefined when the server has none. */
export async function readDevelopmentPeople(): Promise<DevelopmentPeople | undefined> {
  const response = await fetch('/dev/people');
  // The server has checked its own values.
  return response.ok ? ((await response.json()) as DevelopmentPeople) : undefined;
}

/** @throws AdvisedError. */
export async function getDevelopmentToken(name: string, nsid: string, signal: AbortSignal): Promise<string> {
  const { token } = await get<{ token: string }>('/dev/token', { as: name, lxm: nsid }, signal);
  return token;
}

/** @throws AdvisedError. */
export function readStoredRows(convoId: string, signal: AbortSignal): Promise<StoredRows> {
  return get<StoredRows>('/dev/stored-rows', { convoId }, signal);
}

async function get<Result>(
  path: string,
  search: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Result> {
  const response = await fetch(`${path}?${new URLSearchParams(search).toString()}`, { signal });
  if (response.ok) return (await response.json()) as Result;
  throw new AdvisedError(
    `The development server refused ${path} (status ${response.status}). Restart it with npm start.`,
  );
}
