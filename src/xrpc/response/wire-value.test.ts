import { expectTypeOf, test } from 'vitest';
import type { ConvoView, MessageView } from '../lexicon/blue/catbird/mls/defs.defs.ts';
import type { WireValue } from './wire-value.ts';

test('formats and open lists are plain strings, closed lists stay closed, optional fields may be undefined', () => {
  expectTypeOf<WireValue<ConvoView>['creator']>().toEqualTypeOf<string>();
  expectTypeOf<WireValue<ConvoView>['createdAt']>().toEqualTypeOf<string>();
  expectTypeOf<string>().toExtend<WireValue<ConvoView>['cipherSuite']>();
  expectTypeOf<undefined>().toExtend<WireValue<ConvoView>['lastMessageAt']>();
  expectTypeOf<WireValue<MessageView>['messageType']>().toEqualTypeOf<'app' | 'commit' | undefined>();
  expectTypeOf<Buffer>().toExtend<WireValue<MessageView>['ciphertext']>();
  expectTypeOf<{ did: string; userDid: string; joinedAt: string; isAdmin: boolean; leafIndex: undefined }>().toExtend<
    WireValue<ConvoView>['members'][number]
  >();
});
