/** Lines of the primary that tell what happened to its workers. */
const SUPERVISION = /"workerPid":|"msg":"(?:rolling reload|number of workers|listening)/;

export const isSupervision = (line: string): boolean => SUPERVISION.test(line);
