export const jobBoardPath = '/jobs';
