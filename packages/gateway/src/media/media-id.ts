// Media ids look like the platform's: decimal digits, here fifteen or sixteen of them, drawn by chance.

export function newMediaId(random: (count: number) => Uint8Array): string {
  const octets = Buffer.from(random(6));
  return String(1_000_000_000_000_000 + octets.readUIntBE(0, 6));
}
