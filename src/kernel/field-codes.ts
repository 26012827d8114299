/** Every `code` of an entry in `errors`. */
export const FIELD_CODES = {
  required: 'is missing',
  duplicate_member: 'occurs twice in one object',
  unknown_field: 'is not a known field',
  unknown_parameter: 'is not a known parameter',
  read_only: 'is read-only and differs from the value of the resource',
  wrong_type: 'has the wrong type',
  wrong_format: 'has the wrong format',
  not_allowed: 'is not an allowed value',
  too_short: 'has too few characters',
  too_long: 'has too many characters',
  too_small: 'is too small, or has too few items',
  too_big: 'is too big, or has too many items',
  duplicate_item: 'occurs twice in the list',
  not_in_future: 'is a time that is not in the future',
  invalid: 'is invalid for another reason',
  local_part_too_long: 'has too many characters before the @',
  wrong_password: 'is not the current password',
  wrong_code: 'is not a code that is valid now and was not used before',
  password_unchanged: 'must differ from the current password',
  password_too_short: 'has too few characters for a password',
  password_too_long: 'has too many bytes of UTF-8 for a password',
  password_not_text: 'is not Unicode text without NUL',
  password_too_common: 'is one of the most common passwords',
  password_compromised: 'is in a list of leaked passwords',
  password_is_identity: 'is the name or the e-mail address of the account',
  metadata_too_large: 'has too many bytes as JSON',
  metadata_too_deep: 'is nested too deeply',
  metadata_key_not_allowed: 'has a name that cannot be stored',
  metadata_not_indexable: 'is indexed and neither a short string, a number nor a boolean',
  invalid_cursor: 'is not a cursor of this order',
  sort_not_supported: 'is not an order that the search supports',
} as const satisfies Readonly<Record<string, string>>;

export type FieldCode = keyof typeof FIELD_CODES;

export const fieldCodes = Object.keys(FIELD_CODES) as readonly FieldCode[];
