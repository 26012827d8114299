export const FORMATS = ['ndjson', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

export const MEDIA_TYPES = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
} as const satisfies Readonly<Record<Format, string>>;

/**
 * One record: three metadata objects of 8 KiB, each byte of which may be written as an escape.
 */
export const RECORD_MAX_BYTES = 262_144;
