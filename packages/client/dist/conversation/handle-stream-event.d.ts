import type { StreamEvent } from '../api/methods.ts';
import type { Context } from './context.ts';
import type { Conversation } from './conversation.ts';
import type { KeyPackageSupply } from './key-package-supply.ts';
export interface StreamHandlerDeps {
    readonly context: Context;
    readonly supply: KeyPackageSupply;
    readonly inOrder: <Result>(convoId: string, task: (of: Conversation) => Promise<Result>) => Promise<Result>;
    readonly catchUpAll: () => Promise<void>;
    readonly onError: (error: unknown) => void;
    readonly sharedTaskWaitMaxMs: number;
}
/** Does what a client has to do for one event of the stream; tasks that any member can do run in the background. */
export declare function handleStreamEvent(deps: StreamHandlerDeps, event: StreamEvent): Promise<void>;
