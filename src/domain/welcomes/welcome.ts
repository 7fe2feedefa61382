/**
 * Numbers that the database stores for the state of a Welcome for one device. The device can fetch the Welcome
 * repeatedly until it confirms it.
 */
export const welcomeStates = { available: 1, fetched: 2, consumed: 3 } as const;
