import { z } from 'zod';

/** A type of a lexicon, with the keywords that the lexicons of this service use. */
export interface LexiconNode {
  readonly type: string;
  readonly description?: string | undefined;
  readonly required?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, LexiconNode>> | undefined;
  readonly items?: LexiconNode | undefined;
  readonly ref?: string | undefined;
  readonly refs?: readonly string[] | undefined;
  readonly format?: string | undefined;
  readonly enum?: readonly string[] | undefined;
  readonly knownValues?: readonly string[] | undefined;
  readonly const?: string | number | boolean | undefined;
  readonly default?: string | number | boolean | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
}

const value = z.union([z.string(), z.number(), z.boolean()]).optional();
/** Refuses other keywords. */
export const lexiconNode: z.ZodType<LexiconNode> = z.lazy(() =>
  // A new keyword of a lexicon must not be left out of what is generated unnoticed.
  z.strictObject({
    type: z.string(),
    description: z.string().optional(),
    required: z.array(z.string()).optional(),
    properties: z.record(z.string(), lexiconNode).optional(),
    items: lexiconNode.optional(),
    ref: z.string().optional(),
    refs: z.array(z.string()).optional(),
    format: z.string().optional(),
    enum: z.array(z.string()).optional(),
    knownValues: z.array(z.string()).optional(),
    const: value,
    default: value,
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
  }),
);
