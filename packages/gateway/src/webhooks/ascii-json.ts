// JSON as the platform writes it: everything outside ASCII as \uXXXX, so that the signed bytes survive any transcoding.

export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
