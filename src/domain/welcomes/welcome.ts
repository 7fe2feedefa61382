/** Kept per KeyPackageRef, that is per device: a fetch may be repeated until the device confirms. */
export const welcomeStates = { available: 1, fetched: 2, consumed: 3 } as const;
