import { authErrors } from '#auth/auth-error.ts';
import { domainErrors } from '#domain/domain-error.ts';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { statuses } from '#xrpc/response/statuses.ts';
import { neverSent } from '../../test/contract/never-sent.ts';

/** What a page says about an error. */
export interface ErrorFacts {
  readonly name: string;
  /** The HTTP status; undefined if the error is not sent, or only as the last frame of a stream. */
  readonly status: number | undefined;
  readonly isSent: boolean;
  readonly when: string;
  /** What the client does about it. */
  readonly action: string;
}

const statusByName: Readonly<Record<string, number>> = statuses;
const textByName: Readonly<Record<string, string>> = { ...authErrors, ...generalErrors, ...domainErrors };

/** Imperatives with which a sentence of an error text says what to do. */
const action =
  /^(?:Add|Ask|Call|Check|Choose|Close|Correct|Delete|Demote|Encrypt|Export|Fetch|Get|Join|Leave|Let|Make|Name|Nothing is left to do|Open|Publish|Revoke|Send|Set|Sign|Split|Start again|Try again|Use|Wait|Write)\b/;

/** Actions where the text of the error has none, or where the method needs another one: `Name`, or `method.Name`. */
const ownActions: Readonly<Record<string, string>> = {
  'acceptChatRequest.ConvoAlreadyExists': 'Call getConvos: the conversation of this request exists already.',
  'acceptChatRequest.TooManyConversations': 'Leave a conversation first, or ask the sender to leave one.',
  BadTicket: 'Get a new ticket with getSubscriptionTicket, and open one stream with it.',
  ConsumerTooSlow: 'Open the stream again with the cursor of the last event that was processed, and read faster.',
  'getReports.NotAdmin': 'Ask an admin or a moderator of the conversation.',
  InvalidRequest: 'Correct the field that the message names.',
  JwtRevoked: 'Get a new token; if that does not help, ask the operator.',
  'updateCursor.InvalidCursor': 'Send the cursor of an event that the caller has received from this service.',
  'validateWelcome.KeyPackageNotFound': 'Ask the sender to add you with a key package that getKeyPackages returns.',
  'warnMember.NotAdmin': 'Ask an admin or a moderator of the conversation.',
};

/**
 * Returns the facts about an error that the lexicon of `method` declares.
 * @throws Error when no text says what to do about it.
 */
export function declaredError(
  method: string,
  { name, description }: { name: string; description: string },
): ErrorFacts {
  const reason = neverSent[`${method}.${name}`] ?? neverSent[name];
  if (reason !== undefined) {
    return {
      name,
      status: undefined,
      isSent: false,
      when: `${upperFirst(reason)}.`,
      action: 'Nothing: it is never sent.',
    };
  }
  const own = ownActions[`${method}.${name}`] ?? ownActions[name];
  return { name, status: statusByName[name], isSent: true, when: description, action: own ?? actionIn(name) };
}

/** Returns the facts about the errors that every method may send without declaring them. */
export function generalErrorFacts(): ErrorFacts[] {
  const texts = { ...authErrors, ...generalErrors };
  return Object.entries(texts).map(([name, text]) => ({
    name,
    status: statusByName[name],
    isSent: true,
    when: sentencesOf(text).find((sentence) => !action.test(sentence)) ?? whenOnly[name] ?? '',
    action: ownActions[name] ?? actionIn(name),
  }));
}

/** When an error is sent whose text says only what to do. */
const whenOnly: Readonly<Record<string, string>> = {
  AuthMissing: 'The call has no service token.',
  MethodNotAllowed: 'The method is called with another HTTP method.',
  UnsupportedMediaType: 'The body is not JSON, or it is compressed.',
};

/** Returns the sentences of the text of an error that say what to do. */
export function actionsOf(text: string): string {
  return sentencesOf(text)
    .filter((sentence) => action.test(sentence))
    .join(' ');
}

function actionIn(name: string): string {
  const found = actionsOf(textByName[name] ?? '');
  if (found === '') throw new Error(`no text says what a client does about ${name}; see bin/codegen/error-facts.ts`);
  return found;
}

function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.])\s+/);
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
