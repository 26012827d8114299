import type { ClientInfo } from '../../platform/http/client-info';
import type { PersonalData, PersonalSection } from '../../platform/module';
import type { EmitEvent } from '../domain-events';

export interface ExportOptions {
  /** One for each module that keeps something about users. */
  readonly parts: readonly PersonalData[];
  readonly emit: EmitEvent;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** The document of one user, as text to send. */
export type PersonalDataExport = (
  userId: string,
  client: ClientInfo,
) => Promise<AsyncGenerator<string>>;

export function createPersonalDataExport({ parts, emit, now }: ExportOptions): PersonalDataExport {
  return async (userId, client) => {
    const read = await Promise.all(parts.map((part) => part.read(userId)));
    const sections = Object.assign({}, ...read) as Awaited<ReturnType<PersonalData['read']>>;
    return sent(jsonOf({ exported_at: new Date(now()).toISOString(), ...sections }));

    /** The event belongs to the first byte: for HEAD nothing is taken from the generator. */
    async function* sent(texts: AsyncGenerator<string>): AsyncGenerator<string> {
      emit('PersonalDataExported', { userId, client });
      yield* texts;
    }
  };
}

/** About the size of the parts that are sent. */
const PART_CHARS = 16_384;

/**
 * One JSON object of all sections. A list is read as fast as the client receives it, so the memory
 * does not grow with its length.
 */
async function* jsonOf(
  sections: Readonly<Record<string, PersonalSection | string>>,
): AsyncGenerator<string> {
  let part = '{';
  let isFirst = true;
  for (const [name, section] of Object.entries(sections)) {
    part += `${isFirst ? '' : ','}${JSON.stringify(name)}:`;
    isFirst = false;
    if (!isIterable(section)) {
      part += JSON.stringify(section);
      continue;
    }
    part += '[';
    let isFirstItem = true;
    for await (const item of section) {
      part += `${isFirstItem ? '' : ','}${JSON.stringify(item)}`;
      isFirstItem = false;
      if (part.length < PART_CHARS) continue;
      yield part;
      part = '';
    }
    part += ']';
  }
  yield `${part}}\n`;
}

const isIterable = (section: PersonalSection | string): section is AsyncIterable<object> =>
  typeof section === 'object' && Symbol.asyncIterator in section;
