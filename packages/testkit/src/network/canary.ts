// The forms in which a sentence could be lying about: search for all of them, so that finding none
// means something.

/**
 * Base64 of a text inside a longer text has three forms, by where it begins. The ends that depend
 * on neighbours are cut off.
 */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].map((lead) => {
    const padded = Buffer.concat([Buffer.alloc(lead), bytes]);
    const whole = padded.length - (padded.length % 3);
    const text = padded.subarray(0, whole).toString('base64');
    return text.slice(Math.ceil((lead * 8) / 6));
  });
}

const jsonEscaped = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\u0080-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Plain, UTF-16, JSON-escaped, percent-encoded, hex and base64 in all alignments; each once. */
export function canaryForms(canary: string): readonly Buffer[] {
  const plain = Buffer.from(canary, 'utf8');
  const base64 = base64Forms(plain);
  const texts = [
    canary,
    jsonEscaped(canary),
    encodeURIComponent(canary),
    encodeURIComponent(canary).replaceAll('%20', '+'),
    plain.toString('hex'),
    plain.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  const forms = [...texts.map((text) => Buffer.from(text)), Buffer.from(canary, 'utf16le')];
  return [...new Map(forms.map((form) => [form.toString('hex'), form])).values()];
}

/** Offset of the first form found in these bytes, or undefined. */
export function findCanary(bytes: Buffer, canary: string): number | undefined {
  for (const form of canaryForms(canary)) {
    const at = bytes.indexOf(form);
    if (at >= 0) return at;
  }
  return undefined;
}
