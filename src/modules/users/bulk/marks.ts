import type { ImportMark, UserDocument } from '../model';

type Marked = Pick<UserDocument, 'importedBy'>;

/** The latest first. */
const marksOf = ({ importedBy }: Marked): readonly ImportMark[] =>
  importedBy === undefined ? [] : [importedBy, ...(importedBy.before ?? [])];

/** Of a user that the job has written, also where other jobs have written it since. */
export const markOfJob = (user: Marked, job: string): ImportMark | undefined =>
  marksOf(user).find((mark) => mark.job.toHexString() === job);

/** The jobs that have written these users. */
export const jobsOfMarks = (users: readonly Marked[]): string[] => [
  ...new Set(users.flatMap(marksOf).map(({ job }) => job.toHexString())),
];

/**
 * The marks that a write stores: its own, and those of jobs that have not ended. Such a job may do
 * its part again after a crash, and must not do it on top of this write.
 */
export function withMark(
  user: Marked,
  mark: ImportMark,
  active: ReadonlySet<string>,
): NonNullable<UserDocument['importedBy']> {
  const before = marksOf(user)
    .filter(({ job }) => !job.equals(mark.job) && active.has(job.toHexString()))
    .map(({ job, line, did, members }) => ({
      ...{ job, line },
      ...(did !== undefined && { did }),
      ...(members !== undefined && { members }),
    }));
  return { ...mark, ...(before.length > 0 && { before }) };
}
