import type { PersonalSection } from '../../platform/module';

/** About the size of the parts that are sent. */
const PART_CHARS = 16_384;

/**
 * One JSON object of all sections. A list is read as fast as the client receives it, so the memory
 * does not grow with its length.
 */
export async function* jsonOf(
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
