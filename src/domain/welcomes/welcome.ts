/**
 * The state of one Welcome for one KeyPackageRef, that is, one device: it can be fetched repeatedly until the device
 * confirms.
 */
export const welcomeStates = { available: 1, fetched: 2, consumed: 3 } as const;
