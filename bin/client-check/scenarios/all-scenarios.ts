import type { Scenario } from '../scenario.ts';
import { membershipScenarios } from './membership.ts';
import { messageScenarios } from './messages.ts';
import { streamScenarios } from './streams.ts';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [...messageScenarios, ...streamScenarios, ...membershipScenarios];
