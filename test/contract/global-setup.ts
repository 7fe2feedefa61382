import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { noteRefusalsIn, seenRefusals } from '../support/recorded-refusals.ts';
import { declaredErrors, refusalProblems } from './declared-errors.ts';
import { neverSent } from './never-sent.ts';

/**
 * Makes all test files record the refusals of servers. If all files ran and passed, the run fails unless every declared error was
 * produced or is listed as never sent. A run of some files is not checked.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-refusals-'));
  const file = join(folder, 'seen');
  await writeFile(file, '');
  noteRefusalsIn(file);
  return async () => {
    const problems = (await wasWholeRun(project))
      ? refusalProblems(declaredErrors(), seenRefusals(file), neverSent)
      : [];
    await rm(folder, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`declared errors:\n${problems.join('\n')}`);
  };
}

async function wasWholeRun(project: TestProject): Promise<boolean> {
  const passed = new Set(
    project.vitest.state
      .getTestModules()
      .filter((module) => module.ok())
      .map(({ moduleId }) => moduleId),
  );
  const { testFiles } = await project.globTestFiles();
  return project.vitest.config.testNamePattern === undefined && testFiles.every((testFile) => passed.has(testFile));
}
