import { currentRequest, outcomeUnknown, waitForDatabase } from '#platform/request-deadline.ts';
import type { RequestDeadline } from '#platform/request-deadline.ts';

/** What is used here of a statement of postgres.js, which is sent when somebody begins to wait for it. */
interface Statement {
  handle: () => Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  readonly executed: boolean;
  /** The connection that it was sent on. */
  readonly state: unknown;
  strings: readonly string[] & { raw?: readonly string[] };
  args: readonly unknown[];
}

type Callable = (...args: unknown[]) => unknown;

const harmless = Object.assign(['SELECT 1'], { raw: ['SELECT 1'] });

/**
 * A pool or transaction whose statements end with the request that they are for: when it is given up, none of its statements is sent any
 * more, and its open transaction is rolled back. A statement that was sent already may still take effect.
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

/** Nothing of a transaction is committed whose request was given up meanwhile. */
function boundCallback(argument: unknown): unknown {
  if (typeof argument !== 'function') return argument;
  const deadline = currentRequest();
  return async (transaction: object): Promise<unknown> => {
    refuseGivenUp(deadline);
    const result: unknown = await Reflect.apply(argument, undefined, [requestBound(transaction)]);
    refuseGivenUp(deadline);
    return result;
  };
}

function refuseGivenUp(deadline: RequestDeadline | undefined): void {
  if (deadline?.isExpired === true) throw outcomeUnknown();
}

/** A connection that comes too late goes straight back. */
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

function bound(value: unknown, isAlways = false): unknown {
  const deadline = currentRequest();
  if (deadline === undefined || isAlways || !isStatement(value)) return value;
  const { handle, resolve, reject } = value;
  let over = (): void => undefined;
  value.resolve = (result) => {
    over();
    resolve(result);
  };
  value.reject = (error) => {
    over();
    reject(error);
  };
  value.handle = function send(this: Statement) {
    if (value.executed) return Reflect.apply(handle, value, []);
    if (deadline.isExpired) {
      expire(value);
      return Promise.resolve();
    }
    const endWait = deadline.beginWait();
    const forget = deadline.onExpired(() => expire(value));
    over = () => {
      over = () => undefined;
      forget();
      endWait();
    };
    return Reflect.apply(handle, value, []);
  };
  return value;
}

/** One that waits for a connection stays in a queue that cannot be reached, so it becomes one without an effect. */
function expire(statement: Statement): void {
  if (statement.state === null) {
    statement.strings = harmless;
    statement.args = [];
  }
  statement.reject(outcomeUnknown());
}
