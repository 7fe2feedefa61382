import { join } from 'node:path';
import { projectRoot } from '../../conventions/source-tree.ts';

/** Where Node keeps compiled code of the test run and of its child processes; a start then takes half of the processor's time. */
export const compileCacheFolder = join(projectRoot, 'node_modules/.cache/nightjar-compiled');

/** The variables of each child process that runs Node, before the settings of its test. */
export const childEnvironment = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: compileCacheFolder };
