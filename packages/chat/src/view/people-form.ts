import { adviceFor, AdvisedError } from '../person/advice.ts';
import type { Directory } from '../person/directory.ts';
import { button, element, uniqueId } from './element.ts';

export interface PeopleFormOptions {
  readonly legend: string;
  readonly submitLabel: string;
  readonly directory: Directory;
  /** People who cannot be chosen. */
  readonly excluded: () => readonly string[];
  /** The form closes when it resolves. */
  readonly onSubmit: (dids: readonly string[]) => Promise<void>;
}

/** A button that shows a form in which the person chooses people. */
export interface PeopleForm {
  readonly opener: HTMLButtonElement;
  readonly form: HTMLFormElement;
  open(): void;
}

export function createPeopleForm(label: string, options: PeopleFormOptions): PeopleForm {
  const id = uniqueId('people');
  const choices = element('div', { class: 'choices' });
  const problem = element('p', { class: 'problem', role: 'alert' });
  const submit = element('button', { type: 'submit', class: 'primary' }, options.submitLabel);
  const cancel = button('Cancel', () => close());
  const form = element(
    'form',
    { id, class: 'people-form', hidden: true },
    element('fieldset', {}, element('legend', {}, options.legend), choices),
    problem,
    element('div', { class: 'actions' }, submit, cancel),
  );
  const opener = button(label, () => (form.hidden ? open() : close()), {
    'aria-expanded': 'false',
    'aria-controls': id,
    class: 'quiet',
  });

  function open(): void {
    choices.replaceChildren(...choicesOf(options, id));
    problem.textContent = '';
    submit.hidden = choices.querySelector('input') === null;
    form.hidden = false;
    opener.setAttribute('aria-expanded', 'true');
    (choices.querySelector('input') ?? cancel).focus();
  }

  function close(): void {
    const hadFocus = form.contains(document.activeElement);
    form.hidden = true;
    opener.setAttribute('aria-expanded', 'false');
    if (hadFocus) opener.focus();
  }

  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = '';
    chosenDids(form, options.directory)
      .then((dids) => options.onSubmit(dids))
      .then(close)
      .catch((error: unknown) => (problem.textContent = adviceFor(error)))
      .finally(() => (submit.disabled = false));
  });
  return { opener, form, open };
}

function choicesOf({ directory, excluded }: PeopleFormOptions, id: string): HTMLElement[] {
  if (directory.contacts === undefined) {
    const inputId = `${id}-names`;
    return [
      element('label', { for: inputId }, 'Handles or DIDs, separated by spaces'),
      element('input', {
        id: inputId,
        name: 'names',
        autocomplete: 'off',
        autocapitalize: 'none',
        spellcheck: 'false',
      }),
    ];
  }
  const excludedDids = excluded();
  const contacts = directory.contacts.filter(({ did }) => !excludedDids.includes(did));
  if (contacts.length === 0) return [element('p', {}, 'Everyone is a member already.')];
  return contacts.map(({ did, name }, index) => {
    const box = element('input', { type: 'checkbox', name: 'did', value: did });
    box.checked = index === 0;
    return element('label', { class: 'choice' }, box, name);
  });
}

/** @throws AdvisedError when none is chosen, or a handle is not known. */
async function chosenDids(form: HTMLFormElement, directory: Directory): Promise<string[]> {
  const data = new FormData(form);
  const texts = [...data.getAll('did'), ...data.getAll('names')].flatMap((value) =>
    typeof value === 'string' ? value.split(/[\s,]+/) : [],
  );
  const dids = await Promise.all(texts.filter((text) => text !== '').map((text) => directory.findDid(text)));
  if (dids.length === 0) throw new AdvisedError('Choose at least one person.');
  return dids;
}
