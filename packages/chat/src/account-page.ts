import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { adviceFor, AdvisedError } from './person/advice.ts';
import { shortDid } from './person/directory.ts';
import type { Directory } from './person/directory.ts';
import { openPerson, startOver } from './person/open-person.ts';
import { findDid } from './sign-in/find-did.ts';
import type { AccountSession, AccountSessions } from './sign-in/account-session.ts';
import { button, element } from './view/element.ts';
import { pageFrame, requireSecureContext, showPageProblem } from './view/page-frame.ts';
import { PersonPanel } from './view/person-panel.ts';

const namesKey = 'nightjar/names';

/** Handles that this person has typed, by DID; they are kept in this browser. */
function createDirectory({ did, handle }: AccountSession): Directory {
  const stored = JSON.parse(localStorage.getItem(namesKey) ?? '{}') as Record<string, string>;
  const names = new Map(Object.entries(stored));
  if (handle !== undefined) names.set(did, handle);
  return {
    contacts: undefined,
    nameOf: (each) => names.get(each) ?? shortDid(each),
    async findDid(text) {
      const found = await findDid(text);
      if (found !== text) names.set(found, text.replace(/^@/, ''));
      localStorage.setItem(namesKey, JSON.stringify(Object.fromEntries(names)));
      return found;
    },
  };
}

async function showPerson(session: AccountSession, serviceDid: string): Promise<void> {
  const { did, handle = shortDid(did) } = session;
  const person = await openPerson({
    did,
    handle: did,
    name: handle,
    serviceDid,
    engine: await createTsMlsEngine(),
    getToken: (nsid, signal) => session.getToken(nsid, signal),
  });
  const panel = new PersonPanel({
    person,
    directory: createDirectory(session),
    colour: 3,
    startOver: () => void startOver(person, serviceDid).catch(showPageProblem),
  });
  panel.element.classList.add('active');
  const signOut = button('Sign out', () => {
    session.signOut().then(() => location.reload(), showPageProblem);
  });
  document.body.append(...pageFrame([signOut], [element('main', { class: 'panes account' }, panel.element)]));
  // Without this, a browser that runs out of space may delete the keys.
  await navigator.storage.persist();
  await person.goOnline();
}

function showSignIn(sessions: AccountSessions): void {
  const problem = element('p', { class: 'problem', role: 'alert' });
  const input = element('input', {
    id: 'account',
    name: 'account',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
  });
  const submit = element('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const form = element(
    'form',
    { class: 'pane sign-in active' },
    element('h2', {}, 'Sign in with your account'),
    element(
      'p',
      {},
      'Your PDS asks for your password, and gives this page tokens for this service. Any PDS of AT Protocol will do.',
    ),
    element('label', { for: 'account' }, 'Handle, DID, or address of your PDS'),
    input,
    element(
      'p',
      { class: 'meta' },
      'A handle is looked up at public.api.bsky.app. A DID or the address of a PDS is not.',
    ),
    problem,
    element('div', { class: 'actions' }, submit),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = '';
    sessions
      .signIn(input.value.trim())
      .catch((error: unknown) => (problem.textContent = adviceFor(error)))
      .finally(() => (submit.disabled = false));
  });
  document.body.append(...pageFrame([], [element('main', { class: 'panes account' }, form)]));
}

async function main(): Promise<void> {
  requireSecureContext();
  const response = await fetch('/chat/service.json');
  if (!response.ok) throw new AdvisedError('The server does not have the chat page. Set CHAT_PAGE=true.');
  const { serviceDid } = (await response.json()) as { serviceDid: string };
  const { openAccountSessions } = await import('./sign-in/account-session.ts');
  const sessions = await openAccountSessions(serviceDid);
  const session = await sessions.restore();
  if (session === undefined) showSignIn(sessions);
  else await showPerson(session, serviceDid);
}

main().catch(showPageProblem);
