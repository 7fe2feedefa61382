import { adviceFor } from '../person/advice.ts';
import type { StoredRows } from '../sign-in/development-people.ts';
import { element, setText, uniqueId } from './element.ts';

const cellLengthMax = 16;

/** The pane that shows what the server stores of one conversation. */
export class StoredRowsPanel {
  readonly element: HTMLElement;
  readonly #read: (convoId: string, signal: AbortSignal) => Promise<StoredRows>;
  readonly #subject = element('p', { class: 'subject' }, 'Start a conversation to see its rows.');
  readonly #problem = element('p', { class: 'problem', role: 'alert' });
  readonly #tables = element('div', { class: 'tables' });
  #reading = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shown = '';

  constructor(read: (convoId: string, signal: AbortSignal) => Promise<StoredRows>) {
    this.#read = read;
    const headingId = uniqueId('stored');
    this.element = element(
      'section',
      { class: 'pane stored', 'aria-labelledby': headingId },
      element(
        'header',
        {},
        element('div', { class: 'who' }, element('h2', { id: headingId }, 'What the server stores'), this.#subject),
      ),
      this.#problem,
      this.#tables,
    );
  }

  /** Shows the rows of this conversation as they are now. Calls in a row lead to one request. */
  show(convoId: string | undefined, title: string): void {
    clearTimeout(this.#timer);
    if (convoId === undefined) {
      setText(this.#subject, 'Start a conversation to see its rows.');
      this.#tables.replaceChildren();
      this.#shown = '';
      return;
    }
    setText(this.#subject, `${title}, as the operator of the server sees it: ${convoId}`);
    this.#timer = setTimeout(() => this.#refresh(convoId), 150);
  }

  #refresh(convoId: string): void {
    if (!this.element.checkVisibility()) return;
    this.#reading.abort();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    this.#read(convoId, signal)
      .then((rows) => this.#showRows(rows))
      .catch((error: unknown) => {
        if (!signal.aborted) setText(this.#problem, adviceFor(error));
      });
  }

  #showRows(stored: StoredRows): void {
    setText(this.#problem, '');
    const text = JSON.stringify(stored);
    if (text === this.#shown) return;
    this.#shown = text;
    const scrolled = [...this.#tables.querySelectorAll('.rows')].map(({ scrollLeft }) => scrollLeft);
    this.#tables.replaceChildren(...tablesOf(stored));
    this.#tables.querySelectorAll('.rows').forEach((each, index) => (each.scrollLeft = scrolled[index] ?? 0));
  }
}

/** Tables with rows, and the names of the others. */
function tablesOf({ tables }: StoredRows): HTMLElement[] {
  const empty = tables.filter(({ rowCount }) => rowCount === 0).map(({ table }) => table);
  const filled = tables.filter(({ rowCount }) => rowCount > 0).toSorted((a, b) => rankOf(a.table) - rankOf(b.table));
  return [
    ...filled.map(tableElement),
    ...(empty.length === 0 ? [] : [element('p', { class: 'count' }, `Without rows: ${empty.join(', ')}.`)]),
  ];
}

/** The tables that change with each message come first. */
const firstTables = ['messages', 'members'];

function rankOf(table: string): number {
  const index = firstTables.indexOf(table);
  return index === -1 ? firstTables.length : index;
}

function tableElement({ table, rowCount, rows }: StoredRows['tables'][number]): HTMLElement {
  // Every row has the same id of the conversation, which is above the tables.
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => column !== 'group_id');
  const count = `${rowCount} ${rowCount === 1 ? 'row' : 'rows'}${rowCount > rows.length ? `, the newest ${rows.length} are shown` : ''}`;
  const heading = element('h3', {}, table, element('span', { class: 'count' }, ` ${count}`));
  const head = element('tr', {}, ...columns.map((column) => element('th', { scope: 'col' }, column)));
  const body = rows.map((row) => element('tr', {}, ...columns.map((column) => cell(row[column] ?? ''))));
  const content = element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
  const attributes = { class: 'rows', role: 'region', tabindex: '0', 'aria-label': `Rows of ${table}` };
  return element('div', { class: 'table' }, heading, element('div', attributes, content));
}

/** Long values are shortened; the server has shortened bytes already, and says how many there are. */
function cell(text: string): HTMLElement {
  const [, start = text, sizeBytes] = /^(.*)… \((\d+) bytes\)$/.exec(text) ?? [];
  if (sizeBytes === undefined && text.length <= cellLengthMax + 6) return element('td', {}, text);
  const length = sizeBytes === undefined ? '' : ` ${sizeBytes} bytes`;
  return element('td', { title: text }, `${start.slice(0, cellLengthMax)}…${length}`);
}
