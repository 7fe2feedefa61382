/** The size of each measurement. */
export interface Plan {
  readonly conversations: number;
  readonly warmUpSends: number;
  readonly sends: number;
  readonly pages: number;
  /** The duration of each workload with a fixed rate. */
  readonly seconds: number;
  readonly bareSeconds: number;
  readonly overload: { readonly peakSends: number; readonly seconds: number };
}

export const plans = {
  quick: {
    conversations: 1_000,
    warmUpSends: 20_000,
    sends: 12_000,
    pages: 1_000,
    seconds: 4,
    bareSeconds: 4,
    overload: { peakSends: 6_000, seconds: 5 },
  },
  full: {
    conversations: 1_000,
    warmUpSends: 20_000,
    sends: 40_000,
    pages: 2_500,
    seconds: 8,
    bareSeconds: 8,
    overload: { peakSends: 20_000, seconds: 10 },
  },
} as const satisfies Record<string, Plan>;
