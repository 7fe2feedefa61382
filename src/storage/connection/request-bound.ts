import { currentRequest, outcomeUnknown, waitForDatabase } from '#platform/request-deadline.ts';
import type { RequestDeadline } from '#platform/request-context.ts';

/** The part of a postgres.js statement that this file uses. The driver sends a statement when the caller awaits it. */
interface Statement {
  handle: () => Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  readonly executed: boolean;
  /** The connection on which the statement was sent, or null while the statement waits for a connection. */
  readonly state: unknown;
  strings: readonly string[] & { raw?: readonly string[] };
  args: readonly unknown[];
}

type Callable = (...args: unknown[]) => unknown;

const noOperation = Object.assign(['SELECT 1'], { raw: ['SELECT 1'] });

/**
 * Wraps a pool or transaction, so that an abandoned request sends no further statement and its open transaction is
 * rolled back. A statement that was already sent may still take effect.
 */
export function requestBound<Sql extends object>(sql: Sql): Sql {
  return new Proxy(sql, {
    apply(target, receiver, args) {
      return bound(Reflect.apply(target as Callable, receiver, args));
    },
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      switch (name) {
        case 'unsafe':
          return (...args: unknown[]) => bound(Reflect.apply(value, target, args), isRollback(args[0]));
        case 'begin':
          return (...args: unknown[]) =>
            waitForDatabase(() => Reflect.apply(value, target, args.map(boundCallback)) as Promise<unknown>);
        case 'savepoint':
          return (...args: unknown[]) => Reflect.apply(value, target, args.map(boundCallback)) as unknown;
        case 'reserve':
          return () => reserve(value.bind(target) as () => Promise<Reserved>);
        default:
          return value;
      }
    },
  });
}

interface Reserved {
  release(): void;
}

function isRollback(text: unknown): boolean {
  return typeof text === 'string' && /^rollback\b/i.test(text);
}

/** Wraps the callback of a transaction, so that the transaction is rolled back if its request was abandoned. */
function boundCallback(argument: unknown): unknown {
  if (typeof argument !== 'function') return argument;
  const deadline = currentRequest();
  return async (transaction: object): Promise<unknown> => {
    assertNotExpired(deadline);
    const result: unknown = await Reflect.apply(argument, undefined, [requestBound(transaction)]);
    assertNotExpired(deadline);
    return result;
  };
}

function assertNotExpired(deadline: RequestDeadline | undefined): void {
  if (deadline?.isExpired === true) throw outcomeUnknown();
}

/** Reserves a connection, and releases it if the request was abandoned in the meantime. */
async function reserve(take: () => Promise<Reserved>): Promise<Reserved> {
  const deadline = currentRequest();
  return waitForDatabase(async () => {
    const reserved = await take();
    if (deadline?.isExpired === true) reserved.release();
    return requestBound(reserved);
  });
}

function isStatement(value: unknown): value is Statement {
  return value instanceof Promise && 'handle' in value && 'executed' in value;
}

function bound(value: unknown, isExempt = false): unknown {
  const deadline = currentRequest();
  if (deadline === undefined || isExempt || !isStatement(value)) return value;
  const { handle, resolve, reject } = value;
  let finish = (): void => undefined;
  value.resolve = (result) => {
    finish();
    resolve(result);
  };
  value.reject = (error) => {
    finish();
    reject(error);
  };
  value.handle = function send(this: Statement) {
    if (value.executed) return Reflect.apply(handle, value, []);
    if (deadline.isExpired) {
      expire(value);
      return Promise.resolve();
    }
    finish = deadline.beginWait(() => expire(value));
    return Reflect.apply(handle, value, []);
  };
  return value;
}

/**
 * Rejects a statement of an abandoned request. A statement that still waits for a connection becomes `SELECT 1`,
 * because the driver cannot remove a statement from its queue.
 */
function expire(statement: Statement): void {
  if (statement.state === null) {
    statement.strings = noOperation;
    statement.args = [];
  }
  statement.reject(outcomeUnknown());
}
