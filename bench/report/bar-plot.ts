/** One bar, with the range of its rounds. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BarPlot {
  readonly title: string;
  readonly bars: readonly Bar[];
  /** Labelled vertical lines, such as 1 for "as the baseline". */
  readonly marks: readonly number[];
  readonly format: (value: number) => string;
}

const width = 760;
const labelWidth = 190;
const valueWidth = 70;
const rowHeight = 26;
const barHeight = 14;
const headHeight = 56;
const footHeight = 12;
/** Colors with a contrast of at least 3:1 on white and on black. */
const colors = { bar: '#2f7ed8', range: '#8a5a00', text: '#6e6e6e', mark: '#9a9a9a' } as const;

/** Draws horizontal bars as an SVG file that is readable on a light and on a dark page. */
export function drawBars({ title, bars, marks, format }: BarPlot): string {
  const maximum = Math.max(...bars.map(({ value }) => value), ...marks) * 1.1;
  const x = (value: number): number =>
    labelWidth + (Math.min(value, maximum) / maximum) * (width - labelWidth - valueWidth);
  const height = headHeight + bars.length * rowHeight + footHeight;
  const lines = marks.flatMap((mark) => [
    `<line x1="${fixed(x(mark))}" y1="${headHeight - 8}" x2="${fixed(x(mark))}" y2="${height - footHeight}" stroke="${colors.mark}" stroke-dasharray="3 3"/>`,
    `<text x="${fixed(x(mark))}" y="${headHeight - 14}" text-anchor="middle" fill="${colors.text}">${format(mark)}</text>`,
  ]);
  const rows = bars.flatMap(({ label, value, low, high }, index) => {
    const top = headHeight + index * rowHeight;
    const middle = top + barHeight / 2;
    return [
      `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end" fill="${colors.text}">${escaped(label)}</text>`,
      `<rect x="${labelWidth}" y="${top}" width="${fixed(x(value) - labelWidth)}" height="${barHeight}" fill="${colors.bar}"/>`,
      `<line x1="${fixed(x(low))}" y1="${middle}" x2="${fixed(x(high))}" y2="${middle}" stroke="${colors.range}" stroke-width="3"/>`,
      `<text x="${width - 8}" y="${middle + 4}" text-anchor="end" fill="${colors.text}">${format(value)}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}" font-family="sans-serif" font-size="13">`,
    `<text x="8" y="20" font-size="15" fill="${colors.text}">${escaped(title)}</text>`,
    ...lines,
    ...rows,
    '</svg>',
    '',
  ].join('\n');
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
