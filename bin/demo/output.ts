/** Prints the demo in chapters. */
export interface DemoOutput {
  chapter(title: string): void;
  /** Prints what people see, next to what the server has stored. */
  show(people: readonly string[], stored: readonly string[]): void;
}

const leftColumns = 44;
const rightColumns = 51;
const gutter = ' │ ';
const widthColumns = leftColumns + gutter.length + rightColumns;

/** Creates an output of plain text in two columns, which are together at most 98 characters wide. */
export function createDemoOutput(write: (line: string) => void): DemoOutput {
  let chapters = 0;
  return {
    chapter(title) {
      chapters += 1;
      if (chapters === 1) write(`${'What people see'.padEnd(leftColumns)}${gutter}What the server has stored`);
      const head = `── ${chapters}. ${title} `;
      write(head.padEnd(widthColumns, '─'));
    },
    show(people, stored) {
      const left = people.flatMap((text) => wrap(text, leftColumns));
      const right = stored.flatMap((text) => wrap(text, rightColumns));
      for (let line = 0; line < Math.max(left.length, right.length); line++) {
        write(`${(left[line] ?? '').padEnd(leftColumns)}${gutter}${right[line] ?? ''}`.trimEnd());
      }
    },
  };
}

/** Breaks a text at spaces into lines of at most `columns` characters, and indents every line but the first. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  const [first = '', ...words] = text.split(/(?<=\S) /);
  let line = first;
  for (const word of words) {
    const longer = `${line} ${word}`;
    if (longer.length <= columns) {
      line = longer;
    } else {
      lines.push(line);
      line = `  ${word}`;
    }
  }
  return [...lines, line];
}
