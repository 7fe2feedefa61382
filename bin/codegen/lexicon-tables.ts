import { z } from 'zod';

const schema = z.looseObject({ type: z.string(), description: z.string().optional() });
const shape = z.object({
  description: z.string().optional(),
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), schema).default({}),
});
const described = z.object({
  format: z.string().optional(),
  ref: z.string().optional(),
  refs: z.array(z.string()).optional(),
  items: schema.optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  default: z.union([z.string(), z.number(), z.boolean()]).optional(),
  enum: z.array(z.string()).optional(),
  knownValues: z.array(z.string()).optional(),
});

/**
 * Returns the fields of an object, or the parameters of a query, as a Markdown table, or `Nothing.` when there are
 * none.
 */
export function fieldTable(of: unknown): string[] {
  const { required, properties } = shape.parse(of);
  const rows = Object.entries(properties).map(([name, node]) => {
    const needed = required.includes(name) ? 'yes' : '';
    return `| \`${name}\` | ${typeText(node)} | ${needed} | ${cell(node.description ?? '')} |`;
  });
  return rows.length === 0
    ? ['Nothing.']
    : ['| Field | Type | Required | Meaning |', '| --- | --- | --- | --- |', ...rows];
}

/** Returns the type of a value with its limits, and with a link when another page describes the type. */
export function typeText(node: z.infer<typeof schema>): string {
  const facts = described.parse(node);
  const name = typeName(node.type, facts);
  return [name, ...limitsOf(node.type, facts), ...wordsOf(facts)].join(', ');
}

function typeName(type: string, { format, ref, refs, items }: z.infer<typeof described>): string {
  if (type === 'array' && items !== undefined) return `list of ${typeText(items)}`;
  if (type === 'ref' && ref !== undefined) return linkTo(ref);
  if (type === 'union' && refs !== undefined) return `one of ${refs.map(linkTo).join(', ')}`;
  return format === undefined ? type : `${type} (${format})`;
}

/**
 * Returns the link to a referenced type. For example, `blue.catbird.mls.defs#convoView` is a heading of the page
 * `defs.md`.
 */
function linkTo(ref: string): string {
  const [nsid = '', name = ''] = ref.split('#');
  const page = nsid === '' ? '' : `${nsid.replace('blue.catbird.mls.', '')}.md`;
  return `[${name}](${page}#${name.toLowerCase()})`;
}

function limitsOf(type: string, facts: z.infer<typeof described>): string[] {
  const unit = { array: ' items', bytes: ' bytes', string: ' bytes' }[type] ?? '';
  const [low, high] = [facts.minimum ?? facts.minLength, facts.maximum ?? facts.maxLength];
  const limits = low === undefined || low === 0 ? (high === undefined ? [] : [`at most ${high}${unit}`]) : [];
  if (low !== undefined && low !== 0)
    limits.push(high === undefined ? `at least ${low}${unit}` : `${low} to ${high}${unit}`);
  return facts.default === undefined ? limits : [...limits, `default ${JSON.stringify(facts.default)}`];
}

function wordsOf(facts: z.infer<typeof described>): string[] {
  const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(' ');
  return [
    ...(facts.enum === undefined ? [] : [`one of ${code(facts.enum)}`]),
    ...(facts.knownValues === undefined ? [] : [`such as ${code(facts.knownValues)}`]),
  ];
}

/** Escapes text for a table cell. */
export function cell(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('|', '\\|');
}
