import { type Message, messages, numberOf, readMessage, textOf } from './protobuf';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '': a root. */
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
  readonly durationMs: number;
  /** What is known of the process that made it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const ERROR = 2;

/** The spans of an ExportTraceServiceRequest (opentelemetry-proto 1.x, trace.proto). */
export function readTraces(body: Buffer): ReceivedSpan[] {
  return messages(readMessage(body), 1).flatMap((ofResource) => {
    const resource = attributesOf(messages(ofResource, 1)[0], 1);
    return messages(ofResource, 2)
      .flatMap((ofScope) => messages(ofScope, 2))
      .map((span) => ({ ...spanOf(span), resource }));
  });
}

const idsOf = (message: Message) => ({
  traceId: textOf(message, 1, 'hex'),
  spanId: textOf(message, 2, 'hex'),
});

function spanOf(span: Message): Omit<ReceivedSpan, 'resource'> {
  return {
    ...idsOf(span),
    traceState: textOf(span, 3),
    parentId: textOf(span, 4, 'hex'),
    name: textOf(span, 5),
    kind: KINDS[numberOf(span, 6)] ?? 'unspecified',
    durationMs: (numberOf(span, 8) - numberOf(span, 7)) / 1e6,
    attributes: attributesOf(span, 9),
    links: messages(span, 13).map(idsOf),
    isError: messages(span, 15).some((status) => numberOf(status, 3) === ERROR),
  };
}

function attributesOf(message: Message | undefined, field: number): Record<string, unknown> {
  if (message === undefined) return {};
  const pairs = messages(message, field).map((pair) => {
    const [value] = messages(pair, 2);
    return [textOf(pair, 1), value === undefined ? undefined : anyValue(value)];
  });
  return Object.fromEntries(pairs) as Record<string, unknown>;
}

function anyValue(value: Message): unknown {
  if (value.has(1)) return textOf(value, 1);
  if (value.has(2)) return numberOf(value, 2) === 1;
  if (value.has(3)) return numberOf(value, 3);
  if (!value.has(4)) return undefined;
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(value.get(4)?.[0] as bigint);
  return bits.readDoubleLE();
}
