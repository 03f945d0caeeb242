// How a demo firm presents itself to the operator; the numbers are of ranges kept free for fiction
// by the Bundesnetzagentur.

export type DemoFirm = {
  readonly slug: string;
  readonly legalName: string;
  readonly displayName: string;
  readonly country: string;
  readonly registerEntry: string;
  readonly domain: string;
  readonly level: 'number-proven' | 'entity-proven' | 'badge';
  readonly number: string;
};
